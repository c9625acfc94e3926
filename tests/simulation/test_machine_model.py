"""The model beside the machine: each of its checks sees what it is there to see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from actors.simulation.facts import AccountSeen, CallSeen, DealSeen, OpenSeen
from engine.identity import close_id, close_tag
from engine.models import CloseResult
from engine.outcomes import Outcome
from tests.simulation.machine.model import Model

_USER = "user-1"
_CLOSE = close_id(_USER, "7", "k")


def _result(outcome: Outcome = Outcome.DONE, volume: float = 0.5) -> CloseResult:
    return CloseResult(
        success=True,
        position_id="7",
        ticket=7,
        closed_price=1.1,
        pnl=0.0,
        close_reason="test",
        close_timestamp=datetime(2024, 1, 1, tzinfo=UTC),
        error_message=None,
        close_id=str(_CLOSE),
        outcome=outcome,
        attempts=1,
        volume=volume,
    )


def _call(number: int, *results: CloseResult, kind: str = "close", ended_us: int = 9) -> CallSeen:
    return CallSeen(
        number=number,
        user_id=_USER,
        kind=kind,
        episode=f"episode-{number}",
        key="k",
        positions=("7",) if kind == "close" else None,
        volume=None,
        begun_us=1,
        acknowledged_us=2,
        ended_us=ended_us,
        status="ok",
        results=results,
    )


def _account(
    *, closed: float = 0.5, still_open: float = 0.0, locked_by: str | None = None
) -> AccountSeen:
    deal = DealSeen(
        user_id=_USER,
        ticket=1,
        identifier=7,
        entry=1,
        sign=-1,
        volume=closed,
        price=1.1,
        result=0.0,
        at_us=5,
        comment=close_tag(_CLOSE),
        reason=3,
        symbol="EURUSD",
    )
    position = OpenSeen(_USER, 7, "EURUSD", still_open, 0)
    return AccountSeen(
        user_id=_USER,
        is_hedging=True,
        may_be_sent_to=True,
        deals=[deal] if closed else [],
        open_positions=[position] if still_open else [],
        locked_by=locked_by,
    )


def _heard(*calls: CallSeen) -> tuple[Model, list[str]]:
    model = Model()
    for call in calls:
        model.asked(call, (7,) if call.positions else None, locks=call.kind == "trigger")
    return model, list(model.hear(list(calls)))


def test_a_story_without_fault_contradicts_nothing() -> None:
    model, differences = _heard(_call(1, _result()), _call(2, replace(_result(), durable=False)))
    assert not differences
    for check in (model.check_cause, model.check_told_closed, model.check_told_volume):
        assert not list(check(_account()))
    assert not list(model.check_accepted({"episode-1", "episode-2"}))


def test_another_answer_to_the_same_question_is_seen() -> None:
    _, differences = _heard(_call(1, _result()), _call(2, _result(volume=0.4)))
    assert len(differences) == 1


def test_a_close_that_nobody_asked_for_is_seen() -> None:
    assert list(Model().check_cause(_account()))


def test_what_was_told_closed_and_is_open_is_seen() -> None:
    model, _ = _heard(_call(1, _result()))
    assert list(model.check_told_closed(_account(still_open=0.5)))


def test_a_volume_that_the_book_does_not_show_is_seen() -> None:
    model, _ = _heard(_call(1, _result(Outcome.PARTIAL)))
    assert list(model.check_told_volume(_account(closed=0.0)))
    assert list(model.check_told_volume(_account(closed=1.0)))


def test_a_lock_that_is_lost_or_stays_is_seen() -> None:
    model, _ = _heard(_call(1, _result(), kind="trigger"))
    assert list(model.check_lock(_account()))
    assert not list(model.check_lock(_account(locked_by="episode-1")))
    model.release_asked(_USER, 2)
    model.release_ended(_USER, 20, is_over=True)
    assert list(model.check_lock(_account(locked_by="episode-1")))
    assert not list(model.check_lock(_account()))


def test_nothing_is_said_of_a_lock_while_a_release_may_still_act() -> None:
    model, _ = _heard(_call(1, _result(), kind="trigger"))
    model.release_asked(_USER, 2)
    model.release_ended(_USER, 20, is_over=False)
    assert not list(model.check_lock(_account()))
    assert not list(model.check_lock(_account(locked_by="episode-1")))


def test_an_episode_without_an_end_is_seen() -> None:
    model, _ = _heard(_call(1, _result()))
    assert list(model.check_accepted(set()))
