"""An episode's end on record says what its report said."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.episode import Episode, reason_of, refuse_conflict, report_of
from actors.mandated import makes_flat
from actors.messages import CloseReply, EpisodeReport, EpisodeState
from audit.chain import ChainWriter
from audit.closes import close_record
from audit.events import close_accepted, trigger_accepted
from audit.receipts import FinishedEpisode
from audit.records import AuditRecord, Status, record_of
from engine.clock import to_datetime, to_wall_us
from engine.concluding import refused_entry
from engine.errors import IdempotencyConflict
from engine.mandates import DirectClose, Mandate
from engine.models import (
    BulkCloseResult,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
    Severity,
)
from engine.outcomes import Outcome
from tests.unit.audit.samples import NOW, a_result, an_evidence

ACCEPTED_US = NOW + 1_000
ENDED_US = NOW + 9_000
DURABLE_US = NOW + 9_500


def a_trigger(**more: object) -> GuardTrigger:
    when = to_datetime(NOW)
    return GuardTrigger(
        "u1",
        GuardType.DRAWDOWN,
        "equity fell",
        trigger_id="t-1",
        triggered_at=when,
        **more,  # type: ignore[arg-type]
    )


def a_direct_close() -> DirectClose:
    return DirectClose("t-1", "u1", "by hand", (PositionRef("p1", 1001),), "key", is_bulk=True)


def reply_of(mandate: Mandate, results: Sequence[CloseResult], **more: object) -> CloseReply:
    """What an account says when it has carried out a mandate."""
    bulk = BulkCloseResult.of(reason_of(mandate), results)
    told = {
        "closed": bulk.successful_closes,
        "failed": bulk.failed_closes,
        "closes": tuple(result.close_id for result in results),
        "refused": tuple(
            {
                "position_id": result.position_id,
                "ticket": result.ticket,
                "error": result.error_message,
                "at_us": to_wall_us(result.close_timestamp),
            }
            for result in results
            if not result.close_id
        ),
        "first_sent_us": NOW + 2_000,
        "last_answered_us": NOW + 8_000,
    }
    told.update(more)
    return CloseReply(pickle.dumps(bulk, protocol=5), (), **told)  # type: ignore[arg-type]


def ended(mandate: Mandate, reply: CloseReply | None, error: str | None = None) -> Episode:
    episode = Episode(mandate, ACCEPTED_US, reply=reply, error=error, durable=True)
    episode.state = EpisodeState.RESIDUAL if episode.residual else EpisodeState.FLAT
    episode.durable_us = DURABLE_US
    return episode


def on_disk(record: AuditRecord) -> bytes:
    return ChainWriter("supervisor:1").seal(record).body


def told_again(episode: Episode, results: Sequence[CloseResult] = ()) -> EpisodeReport:
    """Read an episode back from nothing but the bytes of its records."""
    mandate = episode.mandate
    accepted = (
        close_accepted(mandate, occurred_at=ACCEPTED_US)
        if isinstance(mandate, DirectClose)
        else trigger_accepted(mandate, occurred_at=ACCEPTED_US)
    )
    finished = FinishedEpisode(
        episode.id,
        mandate.user_id,
        on_disk(accepted),
        on_disk(episode.finished_record(ENDED_US)),
        # In the order of the journal, which need not be that of the answers.
        tuple(
            on_disk(close_record(r, replace(an_evidence(r.ticket), key=r.close_id), user_id="u1"))
            for r in reversed(results)
            if r.close_id
        ),
    )
    return replace(report_of(finished), durable_us=DURABLE_US)


def assert_same(again: EpisodeReport, before: EpisodeReport, *, refusal: str | None = None) -> None:
    def results(report: EpisodeReport) -> BulkCloseResult:
        bulk: BulkCloseResult = pickle.loads(report.results)
        durable = tuple(replace(r, durable=bool(r.close_id)) for r in bulk.results)
        return replace(bulk, results=durable)

    assert results(again) == results(before)
    nothing = b""
    assert replace(again, results=nothing) == replace(before, results=nothing, refusal=refusal)


def a_failure(number: int) -> CloseResult:
    return replace(
        a_result(number),
        success=False,
        closed_price=None,
        pnl=None,
        outcome=Outcome.REJECTED,
        error_message="trading disabled",
        volume=0.0,
    )


@pytest.mark.parametrize("mandate", [a_trigger(), a_direct_close()], ids=["trigger", "direct"])
def test_a_flat_end_is_told_again_as_it_was(mandate: Mandate) -> None:
    results = [a_result(2), a_result(1), a_result(3)]
    episode = ended(mandate, reply_of(mandate, results, still_open=0))
    assert episode.state is EpisodeState.FLAT
    assert_same(told_again(episode, results), episode.report())


def test_a_direct_close_was_triggered_when_it_was_accepted() -> None:
    direct = ended(a_direct_close(), reply_of(a_direct_close(), []))
    assert told_again(direct).triggered_us == direct.report().triggered_us == ACCEPTED_US
    guard = ended(a_trigger(), reply_of(a_trigger(), []))
    assert told_again(guard).triggered_us == guard.report().triggered_us == NOW


def test_refused_entries_come_back_at_their_places_though_no_record_of_a_close_holds_them() -> None:
    mandate = a_direct_close()
    refusals = [
        refused_entry(f"bad {n}", n, "by hand", error=f"no {n}", now=to_datetime(NOW + n))
        for n in (1, 2)
    ]
    results = [refusals[0], a_result(1), refusals[1], a_failure(2)]
    episode = ended(mandate, reply_of(mandate, results))
    assert episode.residual == 3
    again = told_again(episode, results)
    assert_same(again, episode.report())
    bulk: BulkCloseResult = pickle.loads(again.results)
    assert [r.error_message for r in bulk.results] == ["no 1", None, "no 2", "trading disabled"]


@pytest.mark.parametrize(
    ("more", "residual"),
    [
        ({"still_open": 0}, 1),
        ({"still_open": 2}, 2),
        ({"still_open": None}, 1),
        ({"still_open": None, "failed": 0, "waiting": 3}, 3),
        ({"still_open": 0, "failed": 0, "waiting": 0}, 0),
        ({"still_open": 0, "failed": 0, "error": "BrokerUnavailable: gone"}, 1),
    ],
)
def test_what_is_not_surely_gone_is_a_residual_and_stays_one(
    more: dict[str, object], residual: int
) -> None:
    mandate, results = a_trigger(), [a_result(1), a_failure(2)]
    episode = ended(mandate, reply_of(mandate, results, **more))
    record = episode.finished_record(ENDED_US)
    assert record.meta_data["residual"] == residual
    assert record.status is (Status.FAILED if residual else Status.OK)
    again = told_again(episode, results)
    assert again.state is (EpisodeState.RESIDUAL if residual else EpisodeState.FLAT)
    assert_same(again, episode.report())


def test_an_account_that_was_never_reached_is_told_again_with_its_error() -> None:
    episode = ended(a_trigger(), None, "ActorLost: no node has room")
    assert episode.residual == 1
    again = told_again(episode)
    assert_same(again, episode.report())
    assert (again.state, again.error) == (EpisodeState.RESIDUAL, "ActorLost: no node has room")
    assert record_of(on_disk(episode.finished_record(ENDED_US))).description == again.error


@pytest.mark.parametrize("refusal", [IdempotencyConflict("used"), ValueError("names another")])
def test_a_refused_direct_call_keeps_the_class_of_its_refusal(refusal: Exception) -> None:
    mandate = a_direct_close()
    reply = reply_of(mandate, [], error=str(refusal), refusal=refusal)
    episode = ended(mandate, reply, str(refusal))
    again = told_again(episode)
    assert (again.refusal, again.error) == (type(refusal).__name__, str(refusal))
    assert_same(again, episode.report(), refusal=type(refusal).__name__)


def test_a_close_whose_record_cannot_be_read_is_left_out_and_the_others_stay() -> None:
    mandate, results = a_trigger(), [a_result(1), a_result(2)]
    episode = ended(mandate, reply_of(mandate, results, still_open=0))
    again = told_again(episode, results[1:])
    bulk: BulkCloseResult = pickle.loads(again.results)
    assert [r.close_id for r in bulk.results] == [results[1].close_id]
    assert again.closed == 2


@pytest.mark.parametrize(
    ("mandate", "locks"),
    [
        (a_trigger(), True),
        (a_trigger(severity=Severity.WARNING), False),
        (a_trigger(positions=()), False),
        (a_trigger(positions=(PositionRef("p1", 1),)), False),
        (replace(a_direct_close(), positions=None), False),
    ],
)
def test_only_a_critical_trigger_for_all_that_is_open_locks(mandate: Mandate, locks: bool) -> None:
    assert makes_flat(mandate) is locks


def test_a_name_stands_for_one_account_and_scope() -> None:
    known = a_trigger()
    refuse_conflict(known, replace(known, reason="another", severity=Severity.WARNING))
    for other in (replace(known, user_id="u2"), replace(known, positions=())):
        with pytest.raises(IdempotencyConflict, match="trigger_id='t-1'"):
            refuse_conflict(known, other)
