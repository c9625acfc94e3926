"""Every promise is shown to be kept by a good history and broken by a bad one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.simulation.facts import AlarmSeen, FirstOrder, Run
from actors.simulation.invariants import CHECKS, violations_of
from engine.outcomes import Outcome
from tests.unit.simulation.late_runs import ended_too_late, resumed_too_late
from tests.unit.simulation.samples import (
    KEY,
    TICKET,
    USER,
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
    result,
    sealed,
    turned,
)

SECOND = TICKET + 1


def test_a_good_run_breaks_no_promise() -> None:
    assert violations_of(good_run()) == []


def two_in_flight() -> Run:
    return good_run(accounts=[account(closes=[close(), close(2, 1_015, ticket=SECOND)])])


def successor_sends_too_early() -> Run:
    late = close(answered_us=None, acts_until_us=9_000)
    return good_run(accounts=[account(closes=[late, close(2, 5_000, process="ann/2")])])


def resent_while_it_may_act() -> Run:
    late = close(acts_until_us=9_000, executed_volume=0.0, executed_us=None)
    return good_run(accounts=[account(closes=[late, close(2, 5_000)])])


def sent_without_a_read() -> Run:
    return good_run(accounts=[account(closes=[close(read_volume=None, read_at_us=None)])])


def more_than_was_read() -> Run:
    return good_run(accounts=[account(closes=[close(volume=0.6)])])


def closed_twice() -> Run:
    return good_run(accounts=[account(deals=[deal(1, 0, 0), deal(2, 1, 5), deal(3, 1, 9)])])


def opened_by_a_close() -> Run:
    ours = deal(2, 0, 9, identifier=SECOND, comment=close().tag)
    return good_run(accounts=[account(deals=[deal(1, 0, 0), ours])])


def turned_around() -> Run:
    beyond = close(2, 5_000, open_before=0.0, ours_between=0.5)
    return good_run(accounts=[account(is_hedging=False, closes=[close(), beyond])])


def with_records(*of_account: object, **changes: object) -> Run:
    records = [
        *sealed("supervisor:1", accepted(), locked(), finished()),
        *sealed("account:ann:1", *of_account),  # type: ignore[arg-type]
    ]
    return good_run(records=records, **changes)


def two_final_records() -> Run:
    run = with_records(closed(), closed())
    run.records[-1] = sealed("account:ann:2", closed())[0]
    object.__setattr__(run.records[-1], "event_id", "another")
    return run


def two_full_successes() -> Run:
    return with_records(closed(), closed("other"))


def told_differently() -> Run:
    again = call(1, results=(result(volume=0.4),), repeats=0, begun_us=3_000, ended_us=4_000)
    return good_run(calls=[call(), again])


def conflict_let_through() -> Run:
    first = call(kind="close", key="k", results=(result("k", success=False),))
    other = call(
        1,
        kind="close",
        key="k",
        volume=0.1,
        contradicts=0,
        begun_us=3_000,
        ended_us=4_000,
        results=(result("k", success=False, outcome=Outcome.PARTIAL, error_message="part"),),
    )
    return good_run(calls=[first, other])


def full_success_for_another_volume() -> Run:
    first = call(kind="close", key="k", results=(result("k"),))
    other = call(
        1,
        kind="close",
        key="k",
        volume=0.1,
        contradicts=0,
        begun_us=3_000,
        ended_us=4_000,
        results=(result("k"),),
    )
    return good_run(calls=[first, other])


def result_without_record() -> Run:
    return with_records(calls=[call()])


def acknowledged_and_lost() -> Run:
    return good_run(calls=[call(), call(1, episode="lost", key="lost", results=())])


def accepted_without_end() -> Run:
    return good_run(
        records=[
            *sealed("supervisor:1", accepted(), locked(), finished(), accepted("open")),
            *sealed("account:ann:1", closed()),
        ]
    )


def flat_but_open() -> Run:
    return good_run(accounts=[account(open_positions=[opened()], locked_by=None)])


def refused_at_once() -> Run:
    refused = call(
        1, kind="close", status="refused", state="", results=(), error="x", is_untroubled=True
    )
    return good_run(calls=[call(), refused])


def failed_for_no_standing_reason() -> Run:
    failed = result(success=False, outcome=Outcome.NOT_SENT, error_message="gave up")
    return good_run(calls=[call(results=(failed,), state="residual", is_untroubled=True)])


def answered_without_a_word() -> Run:
    return good_run(calls=[call(positions=("a",), results=(), is_untroubled=True)])


def passed_over() -> Run:
    bulk = call(kind="bulk", state="", results=(), is_untroubled=True)
    return good_run(calls=[bulk], accounts=[account(open_positions=[opened()], locked_by=None)])


def failed_without_reason() -> Run:
    failed = result(success=False, outcome=Outcome.REJECTED)
    return good_run(calls=[call(results=(failed,))])


def order_of_nobody() -> Run:
    stray = close(2, 5_000, tag="RAAAAAAAAAAAAAAAAAAAAAAAAAA", ticket=SECOND)
    return good_run(accounts=[account(closes=[close(), stray])])


def waited_for_the_disk() -> Run:
    return good_run(first_orders=[FirstOrder(USER, KEY, 0, 3_000_000, was_disk_ill=True)])


def waited_for_others() -> Run:
    return good_run(first_orders=[FirstOrder(USER, KEY, 0, 3_000_000, was_disk_ill=False)])


def never_quiet() -> Run:
    return good_run(quiet_us=None)


def never_answered() -> Run:
    return good_run(calls=[call(), call(1, ended_us=None, status="open", results=())])


def position_on_a_locked_account() -> Run:
    return good_run(accounts=[account(open_positions=[opened(SECOND, 5_000)])])


def lock_forgotten() -> Run:
    return good_run(accounts=[account(locked_by=None)])


def pending_after_the_first_close() -> Run:
    return good_run(
        accounts=[account(pending_placed=[(100, 77)], pending_cancels=[(1_500, 77)])],
    )


def chain_broken() -> Run:
    return good_run(chain_problem="account:ann:1@2: was altered")


def two_contents() -> Run:
    return good_run(clashes=["event"])


def lost_by_the_store() -> Run:
    return good_run(missing_from_store=["event"])


def gap_in_a_stream() -> Run:
    run = good_run()
    del run.records[1]  # the record of the lock
    run.accounts[0].locked_by = None
    return run


def contradicted_itself() -> Run:
    return good_run(set_aside=["event"])


def password_recorded() -> Run:
    return good_run(secrets_found=["event"])


def sent_while_observing() -> Run:
    return good_run(observes=True)


def sent_for_real_money() -> Run:
    return good_run(accounts=[account(may_be_sent_to=False)])


def residual_without_alarm() -> Run:
    return good_run(
        records=[
            *sealed("supervisor:1", accepted(), locked(), finished(residual=1)),
            *sealed("account:ann:1", closed()),
        ]
    )


def early_without_alarm() -> Run:
    return good_run(accepted_us={KEY: 5_000})


def early_with_a_late_alarm() -> Run:
    return good_run(accepted_us={KEY: 5_000}, alarms=[AlarmSeen(4_000, "supervisor/1", EARLY)])


def reversal_without_alarm() -> Run:
    run = good_run()
    run.records += sealed("account:ann:2", turned())
    return run


def summary_without_alarm() -> Run:
    return good_run(
        records=[
            *sealed("supervisor:1", accepted(), locked(), finished()),
            *sealed("account:ann:1", closed(is_summary=True)),
        ]
    )


EARLY = f"episode {KEY} goes ahead before its trigger is on disk (waited 0.25 s)"
AT_THE_BOUND = AlarmSeen(999, "ann/1", f"account {USER} holds 9 records that nobody takes")


def no_summary_at_the_bound() -> Run:
    return good_run(
        records=sealed("supervisor:1", accepted(), locked(), finished()), alarms=[AT_THE_BOUND]
    )


BAD: list[tuple[str, Callable[[], Run]]] = [
    ("serial", two_in_flight),
    ("serial", successor_sends_too_early),
    ("no resend while it may act", resent_while_it_may_act),
    ("read before sending", sent_without_a_read),
    ("read before sending", more_than_was_read),
    ("no double close", closed_twice),
    ("no double close", opened_by_a_close),
    ("no double close", turned_around),
    ("one final record", two_final_records),
    ("one full success", two_full_successes),
    ("identical results", told_differently),
    ("conflicts raised", conflict_let_through),
    ("conflicts raised", full_success_for_another_volume),
    ("results on disk", result_without_record),
    ("accepted is finished", acknowledged_and_lost),
    ("accepted is finished", accepted_without_end),
    ("flat means flat", flat_but_open),
    ("closes what it can", given_up_at_once),
    ("closes what it can", refused_at_once),
    ("closes what it can", failed_for_no_standing_reason),
    ("closes what it can", answered_without_a_word),
    ("closes what it can", passed_over),
    ("residual has reason", failed_without_reason),
    ("every order explained", order_of_nobody),
    ("never waits for bookkeeping", waited_for_the_disk),
    ("isolated", waited_for_others),
    ("bounded", never_quiet),
    ("bounded", never_answered),
    ("ends in time", ended_too_late),
    ("resumes in time", resumed_too_late),
    ("locked is flat", position_on_a_locked_account),
    ("lock is remembered", lock_forgotten),
    ("pending first", pending_after_the_first_close),
    ("chains whole", chain_broken),
    ("chains whole", two_contents),
    ("chains whole", lost_by_the_store),
    ("streams whole", gap_in_a_stream),
    ("nothing set aside", contradicted_itself),
    ("unsure is alarmed", residual_without_alarm),
    ("early is alarmed", early_without_alarm),
    ("early is alarmed", early_with_a_late_alarm),
    ("reversal is alarmed", reversal_without_alarm),
    ("bound is alarmed", summary_without_alarm),
    ("bound is alarmed", no_summary_at_the_bound),
    ("no secrets", password_recorded),
    ("sends only where allowed", sent_while_observing),
    ("sends only where allowed", sent_for_real_money),
    ("has an explanation", closed_twice),
]


@pytest.mark.parametrize(("promise", "run"), BAD, ids=[f"{p}: {r.__name__}" for p, r in BAD])
def test_a_bad_run_breaks_its_promise(promise: str, run: Callable[[], Run]) -> None:
    assert promise in {violation.promise for violation in violations_of(run())}


def test_every_check_has_a_bad_run() -> None:
    names = {check.__name__.replace("_", " ") for check in CHECKS}
    assert names == {promise for promise, _ in BAD}


BOTH = {"ann/1": 4_000, "supervisor/1": 4_500}
ILL = [(500, 5_000)]


@pytest.mark.parametrize(
    ("ill", "died_us", "on_disk", "is_excused"),
    [
        (ILL, BOTH, None, True),
        (ILL, BOTH, "sweep", True),
        (ILL, BOTH, KEY, False),  # whenever it was accepted, a life has it to find the order by
        (ILL, {"supervisor/1": 4_500}, None, False),  # its life can tell it
        (ILL, {"ann/1": 4_000}, None, False),  # its supervisor has the mandate carried out again
        (ILL, {**BOTH, "supervisor/1": 400}, None, False),
        (ILL, {**BOTH, "supervisor/1": 7_000_000}, None, False),
        ([], BOTH, None, False),
        ([(4_500, 5_000)], BOTH, None, False),  # ill only when its life was over
    ],
)
def test_an_order_without_a_record_is_excused_only_if_all_that_knew_of_it_died(
    ill: list[tuple[int, int]], died_us: dict[str, int], on_disk: str | None, is_excused: bool
) -> None:
    written = () if on_disk is None else (accepted(on_disk), finished(on_disk))
    run = good_run(
        records=sealed("supervisor:1", *written),
        accepted_us={} if on_disk is None else {on_disk: 90_000_000},
        journal_ill=ill,
        died_us=died_us,
    )
    broken = {v.promise for v in violations_of(run)}
    assert ("every order explained" not in broken) == is_excused


def test_alarms_that_were_raised_are_found() -> None:
    alarms = [
        AlarmSeen(990, "supervisor/1", EARLY),
        AT_THE_BOUND,
    ]
    run = summary_without_alarm()
    run.accepted_us[KEY] = 5_000
    run.alarms += alarms
    assert violations_of(run) == []


def test_what_died_with_its_life_needs_no_summary() -> None:
    run = no_summary_at_the_bound()
    run.died_us["ann/1"] = 2_000
    assert "bound is alarmed" not in {v.promise for v in violations_of(run)}
