"""What excuses a call that failed, and what does not."""

from __future__ import annotations

import pytest

from actors.simulation.facts import EpisodeSeen, Run
from actors.simulation.invariants import violations_of
from engine.outcomes import Outcome
from tests.unit.simulation.samples import (
    TICKET,
    accepted,
    account,
    call,
    close,
    closed,
    deal,
    finished,
    given_up_at_once,
    good_run,
    locked,
    opened,
    released,
    result,
    sealed,
    tag,
)

SECOND = TICKET + 1


def fails(outcome: Outcome, text: str, **of_account: object) -> Run:
    failed = result(success=False, outcome=outcome, error_message=text)
    return good_run(
        calls=[call(results=(failed,), state="residual", is_untroubled=True)],
        accounts=[account(**of_account)],
    )


@pytest.mark.parametrize(
    "run",
    [
        fails(Outcome.NOT_SENT, "allow_live is false", may_be_sent_to=False),
        fails(Outcome.REJECTED, "10045 FIFO rule", is_fifo=True),
        fails(Outcome.NOT_FOUND, "no such position", deals=[]),
        fails(Outcome.PARTIAL, "it grew", deals=[deal(1, 0, 0), deal(2, 0, 1_000)]),
    ],
)
def test_a_standing_reason_excuses_a_failure(run: Run) -> None:
    broken = {violation.promise for violation in violations_of(run)}
    assert "closes what it can" not in broken
    run.accounts = [account()]
    broken = {violation.promise for violation in violations_of(run)}
    assert "closes what it can" in broken


def test_a_fault_excuses_a_failure() -> None:
    run = given_up_at_once()
    run.calls[0].is_untroubled = False
    assert "closes what it can" not in {violation.promise for violation in violations_of(run)}


def test_a_failure_of_an_earlier_call_with_the_same_key_is_its_answer() -> None:
    failed = result(success=False, outcome=Outcome.REJECTED, error_message="refused")
    first = call(kind="close", state="", results=(failed,))
    second = call(1, kind="close", state="", results=(failed,), begun_us=3_000, ended_us=4_000)
    second.is_untroubled = True
    run = good_run(calls=[first, second])
    assert "closes what it can" not in {violation.promise for violation in violations_of(run)}


@pytest.mark.parametrize("was_unanswered", [True, False])
def test_a_trigger_whose_name_was_taken_may_have_acted_only_if_it_had_to_be_made_again(
    was_unanswered: bool,
) -> None:
    refused = call(status="conflict", results=(), acknowledged_us=None, ended_us=5_000)
    refused.was_unanswered = was_unanswered
    taker = call(1, begun_us=3_000, acknowledged_us=3_500, ended_us=4_000)
    broken = {violation.promise for violation in violations_of(good_run(calls=[refused, taker]))}
    assert broken == (set() if was_unanswered else {"has an explanation"})


def test_a_trigger_whose_name_was_taken_says_nothing_of_what_its_account_does_not_have() -> None:
    strange = (str(TICKET), str(SECOND))
    refused = call(status="conflict", results=(), acknowledged_us=None, ended_us=5_000)
    refused.was_unanswered, refused.positions = True, strange
    taker = call(1, begun_us=3_000, acknowledged_us=3_500, ended_us=4_000)
    assert violations_of(good_run(calls=[refused, taker])) == []


@pytest.mark.parametrize(
    ("name", "is_on_disk", "is_excused"),
    [("sweep", False, True), ("sweep", True, False), ("another", False, False)],
)
def test_a_sweep_without_a_record_is_explained_only_if_its_mandate_died_unwritten(
    name: str, is_on_disk: bool, is_excused: bool
) -> None:
    swept = [
        deal(3, 0, 5_000, identifier=SECOND),
        deal(4, 1, 6_010, identifier=SECOND, comment=tag("sweep", SECOND)),
    ]
    order = close(2, 6_000, ticket=SECOND, tag=tag("sweep", SECOND))
    run = good_run()
    run.accounts[0].deals += swept
    run.accounts[0].closes.append(order)
    run.episodes = [EpisodeSeen("ann", name, 5_500, is_on_disk=is_on_disk)]
    broken = {violation.promise for violation in violations_of(run)}
    assert ("has an explanation" not in broken) is is_excused
    assert "every order explained" in broken, "it has an excuse of its own"


def test_a_released_account_may_hold_what_is_opened() -> None:
    run = good_run(
        accounts=[account(open_positions=[opened(SECOND, 5_000)], locked_by=None)],
        records=[
            *sealed("supervisor:1", accepted(), locked(), finished(), released()),
            *sealed("account:ann:1", closed()),
        ],
    )
    run.accounts[0].deals.append(deal(3, 0, 5_000, identifier=SECOND))
    assert violations_of(run) == []


def test_a_stop_between_read_and_order_excuses_a_turned_net_position() -> None:
    beyond = close(open_before=0.0, ours_between=0.0)
    run = good_run(accounts=[account(is_hedging=False, closes=[beyond])])
    assert "no double close" not in {v.promise for v in violations_of(run)}
