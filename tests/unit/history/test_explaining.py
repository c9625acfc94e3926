from __future__ import annotations

from dataclasses import replace

import pytest

from audit.history import Completion, Header, History, check
from tests.unit.history.scenes import (
    completed,
    entry,
    good,
    invoked,
    kinds,
    leaving,
    only,
    position,
    record,
    request,
    result,
)

UNKNOWN = (Completion("c1", "unknown", 150),)


@pytest.mark.parametrize("completions", [(), UNKNOWN])
def test_a_call_that_never_came_back_may_or_may_not_have_been_executed(
    completions: tuple[Completion, ...],
) -> None:
    assert check(good(completions=completions)).accepted
    assert check(good(completions=completions, deals=(entry(),), requests=())).accepted


def test_it_may_be_executed_after_the_caller_gave_up() -> None:
    late = good(completions=UNKNOWN, deals=(entry(), leaving(at=400)), requests=(request(at=400),))
    assert check(late).accepted


def test_it_cannot_be_executed_before_it_was_made() -> None:
    early = good(invocations=(invoked(at=121),), completions=())
    assert only(early).kind == "unclaimed_close"
    assert check(replace(early, header=Header(clock_tolerance_us=1))).accepted


def test_one_call_explains_one_close() -> None:
    halves = good(
        completions=(),
        deals=(
            entry(),
            leaving(at=120, tag="T1", volume=0.5),
            leaving(at=140, tag="T2", volume=0.5),
        ),
        requests=(
            request(at=120, tag="T1", volume=0.5, executed_volume=0.5),
            request(at=140, tag="T2", volume=0.5, executed_volume=0.5),
        ),
    )
    assert "T2" in only(halves).text
    assert kinds(halves) == {"unclaimed_close"}
    two_calls = (invoked(volume=0.5), invoked("c2", key="k2"))
    assert check(replace(halves, invocations=two_calls)).accepted


def test_the_search_finds_the_one_assignment_that_fits() -> None:
    """The larger deal comes first, the call that may have asked for it is listed last."""
    wants = {"c1": 0.1, "c2": 0.2, "c3": 0.7}
    taken = {"T3": 0.7, "T1": 0.1, "T2": 0.2}
    history = good(
        invocations=tuple(invoked(call, key=call, volume=lots) for call, lots in wants.items()),
        completions=(),
        deals=(
            entry(),
            *(
                leaving(at=at, tag=tag, volume=lots)
                for at, (tag, lots) in zip((120, 140, 160), taken.items(), strict=True)
            ),
        ),
        requests=tuple(
            request(at=at, tag=tag, volume=lots, executed_volume=lots)
            for at, (tag, lots) in zip((120, 140, 160), taken.items(), strict=True)
        ),
    )
    assert check(history).accepted
    too_much = replace(history.invocations[2], volume=0.6)
    assert kinds(replace(history, invocations=(*history.invocations[:2], too_much))) == {
        "unclaimed_close"
    }


def test_at_its_bound_the_search_is_undecided_and_nothing_is_accepted() -> None:
    verdict = check(good(), most_states=1)
    assert not verdict.accepted
    assert verdict.undecided
    assert verdict.violations[0].kind == "undecided"
    assert check(good(), most_states=3).accepted


def test_an_unknown_result_is_explained_both_ways() -> None:
    unknown = (completed("c1", 200, result(outcome="unknown", success=False, volume=0.0)),)
    assert check(good(completions=unknown)).accepted
    assert check(good(completions=unknown, deals=(entry(),), requests=())).accepted


def by_hand(answered_us: int) -> History:
    """Let a person close at 150 what a call finds closed."""
    gone = result(outcome="already_closed", volume=0.0, tag="T7", pnl=-27.0)
    return good(
        completions=(completed("c1", answered_us, gone),),
        deals=(entry(), leaving(at=150, tag="", who="by hand", arrived_us=None)),
        requests=(),
    )


def test_an_answer_must_be_true_before_it_is_given() -> None:
    assert check(by_hand(answered_us=150)).accepted
    violation = only(by_hand(answered_us=149))
    assert violation.kind == "no_explanation"
    assert "already_closed" in violation.text
    assert violation.call == "c1"


def test_without_the_venues_times_only_the_order_is_judged() -> None:
    early = by_hand(answered_us=149)
    untimed = tuple(replace(deal, executed_us=None) for deal in early.deals)
    assert check(replace(early, deals=untimed)).accepted


def test_a_position_that_is_opened_later_was_not_found_before() -> None:
    missing = result(outcome="not_found", success=False, volume=0.0, closed_price=None, pnl=None)
    history = good(
        completions=(completed("c1", 200, missing),), deals=(entry(at=300),), requests=()
    )
    assert check(history).accepted


def test_a_full_success_answers_other_keys_also_when_its_own_answer_was_lost() -> None:
    history = good(
        invocations=(invoked(), invoked("c2", at=150, key="k2")),
        completions=(completed("c2", 200, result(key="k2")),),
    )
    assert check(history).accepted
    # Without the first call nobody can have asked for it in time.
    assert kinds(replace(history, invocations=history.invocations[1:])) == {"no_explanation"}


def test_a_close_of_the_engines_own_is_explained_by_its_record() -> None:
    swept = good(invocations=(), completions=(), records=(record(),))
    assert check(swept).accepted
    assert kinds(replace(swept, records=())) == {"unclaimed_close"}


def test_a_liquidation_of_all_covers_what_was_open() -> None:
    trigger = invoked(kind="liquidate", positions=None, ticket=None)
    history = good(
        invocations=(trigger,),
        completions=(completed(at=110, results=()),),
        positions=(position(7), position(8)),
        deals=(entry(7), leaving(7), entry(8, at=300)),
    )
    assert check(history).accepted  # position 8 was opened after the trigger was accepted
    before = replace(history, deals=(entry(7), leaving(7), entry(8, at=50)))
    assert only(before).kind == "lost_close"
    assert only(before).position == "8"


def test_a_caller_may_have_names_of_its_own() -> None:
    named = good(
        invocations=(invoked(positions=("mine",), ticket=None),),
        completions=(completed("c1", 200, result(position="mine")),),
    )
    assert "lost_close" in kinds(named)
    assert check(replace(named, positions=(position(aliases=("mine",)),))).accepted


def test_a_full_success_answers_every_key_whatever_volume_was_asked() -> None:
    """Key k2 has nothing of its own to be in conflict with."""
    history = good(
        invocations=(
            invoked(),
            invoked("c2", at=250, key="k2"),
            invoked("c3", at=350, key="k2", volume=0.5),
        ),
        completions=(
            completed(),
            completed("c2", 300, result(key="k2")),
            completed("c3", 400, result(key="k2")),
        ),
    )
    assert check(history).accepted


def test_a_key_that_was_used_before_the_success_keeps_its_own_answer() -> None:
    refused = result(
        outcome="rejected",
        success=False,
        volume=0.0,
        closed_price=None,
        pnl=None,
        close_id="id1",
        tag="T1",
    )
    history = good(
        invocations=(
            invoked("c0", at=10),
            invoked("c1", key="k2"),
            invoked("c2", at=300),
            invoked("c3", at=400, key="k3"),
        ),
        completions=(
            completed("c0", 50, refused),
            completed("c1", 200, result(key="k2")),
            completed("c2", 350, refused),
            completed("c3", 450, result(key="k3")),
        ),
    )
    assert check(history).accepted
    forgotten = replace(refused, key="k3", close_id="id3", tag="T3")
    ends = (*history.completions[:3], completed("c3", 450, forgotten))
    assert kinds(replace(history, completions=ends)) == {"success_not_final"}
