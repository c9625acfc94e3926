"""What chaos has come to is counted from the venue's book and the store's records."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from actors.messages import AccountBook, EpisodeReport, EpisodeState
from actors.stress.chaos_figures import ChaosFigures, Recovery, chaos_figures
from actors.stress.chaos_plan import ChaosPlan, Target
from actors.stress.killing import Kill
from audit.history import Verdict
from audit.history.verdict import Kind, Violation
from audit.records import AuditRecord
from engine.identity import close_id, close_tag
from engine.outcomes import Outcome
from engine.simulated.served import AccountCounts, InFlightAtDeath, ServedRequest, VenueBook
from tests.unit.stress.samples import book, entry, exit_deal, record, summary

CLOSE = str(close_id("ann", "7", "key"))
PLAN = ChaosPlan(kills=2, seed=1)
ACCEPTED = Verdict(calls=1, positions=1, requests=1, violations=())


def closed(*verdicts: str, **changed: Any) -> AuditRecord:
    meta = {"position": "7", "key": "key", "attempts": [{"verdict": each} for each in verdicts]}
    return record(**{"close_id": CLOSE, "meta_data": meta, **changed})


def request(arrived_us: int, pid: int = 10, comment: str = "") -> ServedRequest:
    tag = comment or close_tag(UUID(CLOSE))
    return ServedRequest(1, 1, pid, arrived_us, {"comment": tag, "position": 7})


def venue_book(*requests: ServedRequest) -> VenueBook:
    return VenueBook(1, "EURUSD", 0, 0.0, (), (), (), (), (), requests)


def episode(durable_us: int | None = 9_000_000) -> EpisodeReport:
    return EpisodeReport(
        "t", "ann", EpisodeState.FLAT, b"", True, 0, 0, None, None, durable_us, 1, 0
    )


def account_kill(at_us: int = 1_000_000, pid: int = 10) -> Kill:
    return Kill(Target.ACCOUNT, "ann", pid, at_us)


def figures(
    *kills: Kill,
    closes: tuple[AuditRecord, ...] = (),
    books: tuple[AccountBook, ...] = (),
    requests: tuple[ServedRequest, ...] = (),
    deaths: tuple[InFlightAtDeath, ...] = (),
    verdict: Verdict = ACCEPTED,
    durable_us: int | None = 9_000_000,
) -> ChaosFigures:
    return chaos_figures(
        PLAN,
        kills,
        counts={"ann": AccountCounts(1, in_flight_at_death=deaths)},
        venue_books={"ann": venue_book(*requests)},
        books=books,
        episodes=[episode(durable_us)],
        closes=closes,
        verdict=verdict,
    )


def test_kills_are_counted_by_target() -> None:
    found = figures(account_kill(), Kill(Target.AUDIT, "", 5, 1, 2))
    assert found.kills == 2
    assert found.kills_by_target == {"account": 1, "supervisor": 0, "audit": 1}


@pytest.mark.parametrize(
    ("pid", "closed_us", "expected"), [(10, 1_000_500, 1), (11, 1_000_500, 0), (10, 999_999, 0)]
)
def test_a_kill_in_flight_is_one_whose_process_died_waiting_at_the_venue(
    pid: int, closed_us: int, expected: int
) -> None:
    death = InFlightAtDeath(1, 1, pid, 1, 900_000, closed_us)
    assert figures(account_kill(), deaths=(death,)).kills_in_flight == expected


@pytest.mark.parametrize(
    ("kill", "counts"),
    [
        pytest.param(account_kill(at_us=8_999_999), True, id="right before its end"),
        pytest.param(account_kill(at_us=9_000_000), False, id="after its end"),
        pytest.param(replace(account_kill(), user_id="bob"), False, id="of another account"),
        pytest.param(Kill(Target.AUDIT, "", 5, 8_999_999, 1), True, id="audit, in between"),
        pytest.param(Kill(Target.AUDIT, "", 5, 9_000_000, 1), False, id="audit, when all is over"),
        pytest.param(Kill(Target.SUPERVISOR, "", 5, -1, 1), False, id="before any is accepted"),
    ],
)
def test_a_kill_counts_only_if_it_meets_an_open_episode(kill: Kill, counts: bool) -> None:
    death = InFlightAtDeath(1, 1, kill.pid, 1, 900_000, 9_500_000)
    found = figures(kill, deaths=(death,))
    assert found.kills == sum(found.kills_by_target.values()) == int(counts)
    assert found.kills_in_flight == int(counts and kill.target is Target.ACCOUNT)


def test_an_account_recovers_with_the_next_request_of_another_process() -> None:
    requests = (request(1_000_100, pid=10), request(3_500_000, pid=11))
    assert figures(account_kill(), requests=requests).recovery_s == Recovery(2.5, 2.5)


def test_an_account_with_nothing_left_to_send_recovers_with_its_episodes_end() -> None:
    assert figures(account_kill(), durable_us=5_000_000).recovery_s == Recovery(4.0, 4.0)


def test_what_is_never_heard_of_again_has_not_recovered() -> None:
    found = figures(account_kill(), Kill(Target.SUPERVISOR, "", 5, 1), durable_us=None)
    assert (found.not_recovered, found.recovery_s) == (2, Recovery(None, None))
    assert not found.is_good


def test_supervisor_and_audit_recover_with_their_next_answer() -> None:
    found = figures(
        Kill(Target.SUPERVISOR, "", 5, 0, 1_000_000), Kill(Target.AUDIT, "", 6, 0, 3_000_000)
    )
    assert found.recovery_s == Recovery(2.0, 3.0)


@pytest.mark.parametrize(
    ("made", "arrived", "expected"),
    [
        pytest.param(closed("done"), 1, 0, id="answered at once"),
        pytest.param(closed("unknown", "done"), 2, 1, id="an answer that proved nothing"),
        pytest.param(closed("accepted"), 1, 1, id="accepted only"),
        pytest.param(closed(), 1, 1, id="sent by a life that did not record it"),
        pytest.param(closed("done"), 2, 1, id="sent by two lives"),
        pytest.param(closed("unknown", outcome=Outcome.UNKNOWN.value), 1, 0, id="never proven"),
    ],
)
def test_a_settled_unknown_is_a_proven_close_with_an_unproven_request(
    made: AuditRecord, arrived: int, expected: int
) -> None:
    requests = (request(1), request(2))[:arrived]
    assert figures(closes=(made,), requests=requests).unknown_settled == expected


@pytest.mark.parametrize(
    ("books", "closes", "expected"),
    [
        pytest.param(book(entry(), exit_deal()), (closed("done"),), 0, id="closed and recorded"),
        pytest.param(book(entry(), exit_deal()), (), 1, id="closed, no record"),
        pytest.param(book(entry()), (), 1, id="open, no record"),
        pytest.param(
            book(entry(1), open_positions=1),
            (closed("done", meta_data={"position": "1", "key": "k", "attempts": []}),),
            1,
            id="recorded as closed, and open",
        ),
        pytest.param(
            replace(book(entry()), user_id="bob"), (), 0, id="an account without a trigger"
        ),
    ],
)
def test_a_lost_position_is_one_that_no_record_accounts_for(
    books: AccountBook, closes: tuple[AuditRecord, ...], expected: int
) -> None:
    assert figures(closes=closes, books=(books,)).lost == expected


def test_a_second_final_record_of_a_key_is_noticed() -> None:
    other_key = closed(meta_data={"position": "7", "key": "other", "attempts": []})
    found = figures(closes=(closed(), other_key, closed(event_id="again")))
    assert (found.final_records, found.repeated_records) == (3, 1)


def test_a_refused_history_is_told() -> None:
    verdict = replace(ACCEPTED, violations=(Violation(Kind.LOST_CLOSE, "position 7 is gone"),))
    found = figures(verdict=verdict)
    assert not found.history_accepted
    assert found.history_problems == ["lost_close: position 7 is gone"]


GOOD = ChaosFigures(
    kills_asked=2,
    kills=2,
    kills_by_target={"account": 2},
    kills_in_flight=1,
    unknown_settled=1,
    lost=0,
    final_records=6,
    repeated_records=0,
    recovery_s=Recovery(2.0, 3.0),
    not_recovered=0,
    history_accepted=True,
    history_problems=(),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kills", 1),
        ("lost", 1),
        ("repeated_records", 1),
        ("not_recovered", 1),
        ("history_accepted", False),
    ],
)
def test_one_fault_of_any_kind_makes_a_run_bad(name: str, value: Any) -> None:
    assert summary(chaos=GOOD).is_good
    assert not summary(chaos=replace(GOOD, **{name: value})).is_good


def test_the_figures_stand_beside_the_others() -> None:
    data = summary(chaos=GOOD).data()
    assert json.loads(json.dumps(data))["recovery_s"] == {"p50": 2.0, "max": 3.0}
    assert (data["kills"], data["double_closes"], data["lost"]) == (2, 0, 0)
    assert "chaos" not in data
    assert "kills" not in summary().data()
