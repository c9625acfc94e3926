"""Closing through the real adapter while the terminal misbehaves, judged by the broker's own book.

For every answer of MetaTrader 5: the answer, the outcome, and what the closer does next.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from engine.brokers import MT5Broker
from engine.closer import PositionCloser
from engine.closing import AccountCloser
from engine.errors import MarketClosed
from engine.models import CloseRequest, CloseResult
from engine.outcomes import Outcome
from engine.policy import ClosingPolicy
from engine.prices import PricePath
from engine.simulated import AccountSettings, FaultPlan, MarginMode, Market, SimulatedTerminal
from tests.unit.closing.conftest import Ledger
from tests.virtual_time import VirtualClock

LOTS = 0.4
MODES = [MarginMode.HEDGING, MarginMode.NETTING]
POLICY = ClosingPolicy(most_attempts=4, settle_window_s=10.0, deal_lag_s=2.0)
PRICES = PricePath(
    symbol="EURUSD",
    digits=5,
    source="test",
    times_ms=array("q", range(0, 60_000, 1_000)),
    bids=array("d", [1.1] * 60),
    asks=array("d", [1.1002] * 60),
)


@dataclass
class Scene:
    """One position at a terminal with a plan of faults, and the engine that closes it."""

    terminal: SimulatedTerminal
    account: AccountCloser
    clock: VirtualClock
    ticket: int
    ledger: Ledger

    async def close(self, key: str = "k", volume: float | None = None) -> CloseResult:
        request = CloseRequest(
            str(self.ticket), self.ticket, "ann", "test", volume=volume, idempotency_key=key
        )
        return await self.account.close(request)

    @property
    def exits(self) -> list[float]:
        """Lots of the exit deals in the broker's book."""
        return [deal.volume for deal in self.terminal.book.deals if deal.entry]

    def assert_closed_exactly_once(self) -> None:
        assert not self.terminal.book.positions
        entered: dict[int, float] = defaultdict(float)
        for deal in self.terminal.book.deals:
            if deal.position_id:
                entered[deal.position_id] += -deal.volume if deal.entry else deal.volume
        assert {number: round(left, 8) for number, left in entered.items()} == {self.ticket: 0.0}


async def scene(mode: MarginMode, *faults: dict[str, Any]) -> Scene:
    clock = VirtualClock()
    # The first order opens the position; the faults begin with the second.
    plan = [fault if "rate" in fault else {"nth": 2, **fault} for fault in faults]
    terminal = SimulatedTerminal(
        Market([PRICES]),
        AccountSettings(margin_mode=mode),
        faults=FaultPlan.from_data(plan, seed=1),
        wall_ms=lambda: clock.seconds * 1000,
    )
    broker = MT5Broker(terminal, login=AccountSettings().login)
    closer = PositionCloser(clock=clock, random=Random(1), policy=POLICY)
    ledger = Ledger()
    account = closer.attach("ann", broker, ledger=ledger)
    await broker.connect()
    opened = terminal.order_send(
        {"action": 1, "symbol": "EURUSD", "volume": LOTS, "type": 0, "type_filling": 1}
    )
    assert opened is not None
    assert opened.retcode == terminal.TRADE_RETCODE_DONE
    (position,) = terminal.book.positions
    return Scene(terminal, account, clock, position, ledger)


HIDDEN_BUT_EXECUTED: list[dict[str, Any]] = [
    {"kind": "timeout_after_execution"},
    {"kind": "timeout_then_executed", "reads": 3},
    {"kind": "placed_after_execution"},
    {"kind": "placed_then_executed", "reads": 3},
    *({"kind": "ipc_error_after_execution", "code": code} for code in (-1, *range(-10005, -9999))),
    {"kind": "ipc_error_then_executed", "code": -10005, "reads": 3},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", HIDDEN_BUT_EXECUTED, ids=str)
async def test_an_unknown_that_did_execute_is_one_close(
    mode: MarginMode, fault: dict[str, Any]
) -> None:
    stage = await scene(mode, fault)
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.outcome, result.attempts, result.volume) == (Outcome.DONE, 1, LOTS)
    assert result.closed_price == 1.1


NOT_EXECUTED: list[dict[str, Any]] = [
    {"kind": "timeout_without_execution"},
    {"kind": "placed_without_execution"},
    *({"kind": "ipc_error_without_execution", "code": c} for c in (-1, *range(-10005, -9999))),
    {"kind": "retcode", "code": 10011},
    {"kind": "retcode", "code": 10031},
    {"kind": "retcode", "code": 10036},
    {"kind": "retcode", "code": 10039},
    {"kind": "retcode", "code": 10013},
    {"kind": "retcode", "code": 10025},
    {"kind": "retcode", "code": 10035},
    {"kind": "retcode", "code": 10999},
    {"kind": "restart"},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", NOT_EXECUTED, ids=str)
async def test_an_unknown_that_did_not_execute_is_one_close_after_the_window(
    mode: MarginMode, fault: dict[str, Any]
) -> None:
    stage = await scene(mode, fault)
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert stage.clock.seconds >= POLICY.settle_window_s


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lag", [{"reads": 4}, {"delay_ms": 900}], ids=str)
@pytest.mark.parametrize("answered", [True, False])
async def test_late_deals_and_a_lingering_position_are_one_close(
    mode: MarginMode, lag: dict[str, Any], answered: bool
) -> None:
    faults = [{"kind": "late_deals", **lag}, {"kind": "lingering_position", **lag}]
    if not answered:
        faults.append({"kind": "timeout_after_execution"})
    stage = await scene(mode, *faults)
    first = await stage.close("first")
    second = await stage.close("second")
    stage.assert_closed_exactly_once()
    assert (first.outcome, first.closed_price, first.attempts) == (Outcome.DONE, 1.1, 1)
    assert second == first


@pytest.mark.parametrize("mode", MODES)
async def test_a_lingering_part_is_not_closed_again_under_another_key(mode: MarginMode) -> None:
    stage = await scene(mode, {"kind": "lingering_position", "delay_ms": 700})
    part = await stage.close("part", volume=0.1)
    rest = await stage.close("rest")
    stage.assert_closed_exactly_once()
    assert (part.outcome, rest.outcome) == (Outcome.PARTIAL, Outcome.DONE)
    assert stage.exits == [0.1, 0.3]


@pytest.mark.parametrize("mode", MODES)
async def test_parts_are_followed_by_the_rest(mode: MarginMode) -> None:
    stage = await scene(
        mode, {"kind": "partial_fill", "fraction": 0.25}, {"kind": "lingering_position", "reads": 2}
    )
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert result.outcome is Outcome.DONE
    assert stage.exits == [0.1, 0.3]


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        ("gone_by_stop_loss", "stop loss"),
        ("gone_by_take_profit", "take profit"),
        ("gone_by_stop_out", "stop-out"),
        ("gone_by_hand", "by hand"),
    ],
)
async def test_gone_in_between_on_a_hedging_account(kind: str, who: str) -> None:
    stage = await scene(MarginMode.HEDGING, {"kind": kind})
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.success, result.outcome, result.attempts) == (True, Outcome.ALREADY_CLOSED, 1)
    ((_, evidence),) = stage.ledger.entries
    assert evidence.closed_by == who


async def test_gone_in_between_on_a_netting_account_reverses_and_is_undone() -> None:
    """No client can exclude it; the engine reads back, and closes what its order has opened."""
    stage = await scene(MarginMode.NETTING, {"kind": "gone_by_stop_loss"})
    await stage.close()
    assert not stage.terminal.book.positions
    assert sum(d.volume if d.type == 0 else -d.volume for d in stage.terminal.book.deals) == 0


AT_ONCE: Sequence[int] = (10004, 10015, 10020, 10021)
BACKED_OFF: Sequence[int] = (10023, 10024, 10028, 10029, 10006, 10007, 10018)
MENDED: Sequence[int] = (10014, 10016, 10022, 10030, 10038)
REFUSED: Sequence[int] = (
    *(10017, 10019, 10026, 10027, 10032, 10033, 10034, 10040, 10041, 10042, 10043, 10044),
    *(10045, 10046),
)


@pytest.mark.parametrize("code", [*AT_ONCE, *MENDED])
async def test_sent_again_at_once(code: int) -> None:
    stage = await scene(MarginMode.HEDGING, {"kind": "retcode", "code": code})
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert sum(stage.clock.sleeps) == 0


@pytest.mark.parametrize("code", BACKED_OFF)
async def test_sent_again_after_a_wait(code: int) -> None:
    stage = await scene(MarginMode.HEDGING, {"kind": "retcode", "code": code})
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert 0 < sum(stage.clock.sleeps) < POLICY.settle_window_s


@pytest.mark.parametrize("code", REFUSED)
async def test_refused_with_a_reason(code: int) -> None:
    stage = await scene(MarginMode.HEDGING, {"kind": "retcode", "code": code})
    result = await stage.close()
    assert (result.success, result.outcome, result.attempts) == (False, Outcome.REJECTED, 1)
    assert str(code) in (result.error_message or "")
    assert len(stage.terminal.book.positions) == 1


def always(code: int) -> dict[str, Any]:
    """The same answer to every close of the position."""
    ticket = AccountSettings().first_ticket
    return {"kind": "retcode", "code": code, "ticket": ticket, "rate": 1.0}


@pytest.mark.parametrize("code", [*AT_ONCE, *BACKED_OFF])
async def test_retries_are_bounded(code: int) -> None:
    stage = await scene(MarginMode.HEDGING, always(code))
    result = await stage.close()
    assert (result.outcome, result.attempts) == (Outcome.REJECTED, POLICY.most_attempts)
    assert len(stage.terminal.book.positions) == 1


@pytest.mark.parametrize("code", MENDED)
async def test_a_mend_is_tried_once(code: int) -> None:
    stage = await scene(MarginMode.HEDGING, always(code))
    result = await stage.close()
    assert (result.outcome, result.attempts) == (Outcome.REJECTED, 2)


async def test_surely_not_sent() -> None:
    stage = await scene(MarginMode.HEDGING, {"kind": "ipc_error_without_execution", "code": -8})
    result = await stage.close()
    assert (result.outcome, result.attempts) == (Outcome.NOT_SENT, 1)
    assert len(stage.terminal.book.positions) == 1
    assert (await stage.close("again")).outcome is Outcome.DONE


@pytest.mark.parametrize("mode", MODES)
async def test_a_market_that_is_closed_is_waited_for(mode: MarginMode) -> None:
    stage = await scene(mode, {**always(10018), "times": 3})
    account = AccountCloser(
        "ann",
        stage.account.broker,
        clock=stage.clock,
        random=Random(1),
        policy=replace(POLICY, waits_for_session=True),
        ledger=stage.ledger,
    )
    request = CloseRequest(str(stage.ticket), stage.ticket, "ann", "test", idempotency_key="k")
    result, refusals = None, 0
    while result is None:
        (ended,) = await account.close_each([request])
        if isinstance(ended, MarketClosed):
            refusals += 1
            assert stage.ledger.entries == []
            stage.clock.seconds += POLICY.session_probe_s
        else:
            result = ended
    stage.assert_closed_exactly_once()
    assert (result.outcome, result.attempts, refusals) == (Outcome.DONE, 4, 3)
