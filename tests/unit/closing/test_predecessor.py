"""What the system before this one did, and its users rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine import (
    BulkCloseResult,
    CloseResult,
    IdempotencyConflict,
    Outcome,
    PositionCloser,
    UnknownAccount,
    get_drawdown_guard,
    get_market_guard,
    get_position_closer,
)
from engine.outcomes import Verdict
from tests.scripted_broker import say
from tests.unit.closing.conftest import Desk


async def test_a_result_has_all_its_fields(desk: Desk) -> None:
    desk.broker.add(1, volume=2.0)
    result = await desk.closer.close_position("p1", 1, "ann", "margin call", close_price=1.04)
    assert result.success
    assert (result.position_id, result.ticket, result.close_reason) == ("p1", 1, "margin call")
    assert result.closed_price == 1.05
    assert result.pnl == pytest.approx(-10.0 - 0.5 - 0.5)
    assert result.close_timestamp == datetime.fromtimestamp(desk.clock.wall_us() / 1e6, UTC)
    assert result.error_message is None
    assert (result.outcome, result.attempts, result.volume) == (Outcome.DONE, 1, 2.0)
    assert desk.broker.sent[0].price == 1.04


async def test_a_close_id_is_generated_and_each_position_has_its_own(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.add(2)
    first, second = await desk.close(1), await desk.close(2)
    assert UUID(first.close_id).version == UUID(second.close_id).version == 5
    assert first.close_id != second.close_id


async def test_a_repeated_success_is_the_identical_result(desk: Desk) -> None:
    desk.broker.add(1)
    first = await desk.closer.close_position("p1", 1, "ann", "test")
    again = await desk.closer.close_position("p1", 1, "ann", "another reason is no conflict")
    assert again == first
    assert len(desk.broker.sent) == 1
    assert len(desk.ledger.entries) == 1


async def test_a_repeated_failure_is_the_identical_result(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    first = await desk.closer.close_position("p1", 1, "ann", "test")
    again = await desk.closer.close_position("p1", 1, "ann", "test")
    assert not first.success
    assert first.error_message is not None
    assert "trading disabled" in first.error_message
    assert again == first
    assert len(desk.broker.sent) == 1


async def test_a_failure_is_final_for_its_own_key_only(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(Verdict.OPERATOR, 10017))
    failed = await desk.close(key="first")
    second = await desk.close(key="second")
    assert (failed.outcome, second.outcome) == (Outcome.REJECTED, Outcome.DONE)


async def test_a_full_success_answers_every_key(desk: Desk) -> None:
    desk.broker.add(1)
    first = await desk.close(key="first")
    assert await desk.close(key="second") == first
    assert len(desk.broker.sent) == 1


async def test_a_partial_close_is_final_for_its_own_key_only(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    part = await desk.closer.close_partial("1", 1, "ann", 0.4, "reduce")
    assert (part.success, part.outcome, part.volume) == (True, Outcome.PARTIAL, 0.4)
    assert await desk.closer.close_partial("1", 1, "ann", 0.4, "reduce") == part
    rest = await desk.closer.close_position("1", 1, "ann", "out")
    assert (rest.outcome, rest.volume) == (Outcome.DONE, 0.6)
    assert [order.volume for order in desk.broker.sent] == [0.4, 0.6]


async def test_results_of_one_position_add_up_to_its_deals(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    part = await desk.closer.close_partial("1", 1, "ann", 0.4, "reduce")
    rest = await desk.closer.close_position("1", 1, "ann", "out")
    assert part.pnl is not None
    assert rest.pnl is not None
    assert part.pnl + rest.pnl == pytest.approx(sum(d.result for d in desk.broker.deals))


async def test_the_same_key_with_another_ticket_or_volume_conflicts(desk: Desk) -> None:
    desk.broker.add(1)
    await desk.close(1, key="k")
    with pytest.raises(IdempotencyConflict, match="idempotency_key='k'"):
        await desk.account.close(desk.request(2, "k", position_id="1"))
    with pytest.raises(IdempotencyConflict, match=r"1:1:0\.5"):
        await desk.close(1, key="k", volume=0.5)
    assert len(desk.broker.sent) == 1


async def test_different_positions_are_independent(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.add(2)
    desk.broker.script.append(say(Verdict.OPERATOR))
    first, second = await desk.close(1, key="same"), await desk.close(2, key="same")
    assert (first.success, second.success) == (False, True)


async def test_an_empty_list_closes_nothing(desk: Desk) -> None:
    desk.broker.add(1)
    done = await desk.closer.close_all_positions("ann", "test", positions=[])
    assert done == BulkCloseResult(0, 0, 0, 0.0, "test", ())
    assert desk.broker.sent == []


async def test_none_closes_all_that_is_open(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    done = await desk.closer.close_all_positions("ann", "test")
    assert (done.total_positions, done.successful_closes, done.failed_closes) == (3, 3, 0)
    assert desk.broker.open == {}
    assert done.total_pnl == pytest.approx(sum(d.result for d in desk.broker.deals))


async def test_mixed_outcomes_are_counted(desk: Desk) -> None:
    desk.broker.add(1, profit=-3.0)
    desk.broker.add(2, profit=-2.0)
    desk.broker.add(3, profit=-1.0)
    desk.broker.script.extend([say(Verdict.OPERATOR, 10019, "no money")])
    entries = [{"position_id": str(t), "ticket": t} for t in (1, 2, 3, 99)]
    done = await desk.closer.close_all_positions("ann", "test", entries)
    assert (done.total_positions, done.successful_closes, done.failed_closes) == (4, 2, 2)
    assert [r.outcome for r in done.results] == [
        Outcome.REJECTED,
        Outcome.DONE,
        Outcome.DONE,
        Outcome.NOT_FOUND,
    ]


async def test_an_error_in_one_position_stops_no_other(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.add(2)

    def explode(broker: object, order: object) -> None:
        raise RuntimeError("adapter bug")

    desk.broker.script.append(explode)  # type: ignore[arg-type]  # the bug is the point
    done = await desk.closer.close_all_positions("ann", "test")
    assert [r.success for r in done.results] == [True, True]
    assert len(desk.broker.sent) == 3, "the raised request was settled, then sent again"


async def test_an_invalid_entry_of_a_bulk_call_is_a_failed_result_of_its_own(desk: Desk) -> None:
    desk.broker.add(1)
    entries = [
        {"position_id": "1", "ticket": 1},
        {"position_id": "", "ticket": 2},
        {"position_id": "x"},
        "nonsense",
    ]
    done = await desk.closer.close_all_positions("ann", "test", entries)  # type: ignore[arg-type]
    assert (done.successful_closes, done.failed_closes) == (1, 3)
    messages = [r.error_message or "" for r in done.results[1:]]
    assert "position_id=''" in messages[0]
    assert "ticket=None" in messages[1]
    assert "positions='nonsense'" in messages[2]
    assert len(desk.ledger.entries) == 1


async def test_bulk_then_single_is_one_close(desk: Desk) -> None:
    desk.broker.add(1)
    bulk = await desk.closer.close_all_positions("ann", "test")
    single = await desk.closer.close_position("1", 1, "ann", "test")
    assert single == bulk.results[0]
    assert len(desk.broker.sent) == 1


async def test_a_trigger_closes_and_names_its_guard(desk: Desk) -> None:
    desk.broker.add(1)
    result = await desk.closer.close_position_if_triggered(
        "1", "equity below line", "drawdown", "ann", {"ticket": 1}
    )
    assert result.success
    assert result.close_reason == "drawdown: equity below line"
    assert desk.ledger.entries[0][1].initiator == "drawdown"


async def test_a_missing_ticket_is_named(desk: Desk) -> None:
    with pytest.raises(ValueError, match=r"position_data\.ticket=None"):
        await desk.closer.close_position_if_triggered("1", "why", "drawdown", "ann", {})


async def test_an_unknown_guard_type_is_named(desk: Desk) -> None:
    with pytest.raises(ValueError, match=r"guard_type='moon'.*'drawdown'"):
        await desk.closer.close_position_if_triggered("1", "why", "moon", "ann", {"ticket": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position_id", ""),
        ("position_id", 7),
        ("user_id", "  "),
        ("user_id", None),
        ("close_reason", ""),
        ("ticket", 0),
        ("ticket", -1),
        ("ticket", True),
        ("ticket", "1"),
        ("close_price", float("nan")),
        ("close_price", float("inf")),
        ("close_price", 0.0),
        ("close_price", -1.0),
    ],
)
async def test_a_bad_argument_is_named_with_its_value(
    desk: Desk, field: str, value: object
) -> None:
    arguments: dict[str, object] = {
        "position_id": "1",
        "ticket": 1,
        "user_id": "ann",
        "close_reason": "test",
        field: value,
    }
    with pytest.raises(ValueError, match=field) as refused:
        await desk.closer.close_position(**arguments)  # type: ignore[arg-type]
    assert repr(value) in str(refused.value)
    assert desk.broker.sent == []


async def test_an_unknown_account_is_an_error_not_an_empty_success(desk: Desk) -> None:
    with pytest.raises(UnknownAccount, match=r"'bob'.*attached: ann"):
        await desk.closer.close_all_positions("bob", "test")


def test_each_getter_returns_one_instance() -> None:
    assert get_position_closer() is get_position_closer()
    assert get_drawdown_guard() is get_drawdown_guard()
    assert get_market_guard() is get_market_guard()
    assert isinstance(get_position_closer(), PositionCloser)


async def test_results_are_frozen(desk: Desk) -> None:
    desk.broker.add(1)
    result = await desk.close()
    with pytest.raises(AttributeError):
        result.success = False  # type: ignore[misc]
    assert not hasattr(result, "__dict__")
    assert isinstance(result, CloseResult)
