"""Troubles that meet: parts and unknowns, other hands in between, lives that follow each other.

The position must be gone from the broker's book, and the result must say what really happened.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from engine.brokers import MT5Broker
from engine.brokers.terminal_calls import InProcessCalls
from engine.closer import PositionCloser, close_bulk
from engine.models import BulkCloseResult, CloseRequest, CloseResult
from engine.outcomes import Outcome
from engine.policy import ClosingPolicy
from engine.simulated import MarginMode, SimulatedTerminal
from tests.conformance.test_closing_under_faults import LOTS, MODES, POLICY, Scene, scene

BUY, SELL = 0, 1


def by_hand(terminal: SimulatedTerminal, side: int, lots: float) -> None:
    answer = terminal.order_send(
        {"action": 1, "symbol": "EURUSD", "volume": lots, "type": side, "type_filling": 1}
    )
    assert answer is not None
    assert answer.retcode == terminal.TRADE_RETCODE_DONE


class Meddled:
    """A terminal where something happens right before the engine's first order is handled."""

    def __init__(self, stage: Scene, meddle: Callable[[SimulatedTerminal], None]) -> None:
        self._terminal = stage.terminal
        self._meddle: Callable[[SimulatedTerminal], None] | None = meddle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)

    def order_send(self, request: dict[str, Any]) -> Any:
        if self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle(self._terminal)
        return self._terminal.order_send(request)


def through(stage: Scene, terminal: object) -> Scene:
    """Let the engine meet ``terminal`` in the place of the scene's own."""
    closer = PositionCloser(clock=stage.clock, random=Random(1), policy=POLICY)
    broker = MT5Broker(InProcessCalls(terminal))
    return Scene(
        **{
            **{name: getattr(stage, name) for name in stage.__dataclass_fields__},
            "account": closer.attach("ann", broker, ledger=getattr(stage, "ledger", None)),
        }
    )


def net(stage: Scene) -> float:
    """Lots that all trades of the book leave open, long or short."""
    deals = [d for d in stage.terminal.book.deals if d.position_id]
    return round(sum([float(d.volume) if d.type == BUY else -float(d.volume) for d in deals]), 8)


def assert_flat(stage: Scene) -> None:
    assert not stage.terminal.book.positions
    assert net(stage) == 0


async def close_all(stage: Scene, key: str) -> BulkCloseResult:
    return await close_bulk(
        stage.account, None, close_reason="test", key=key, initiator="test", clock=stage.clock
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "then",
    [
        {"kind": "timeout_without_execution"},
        {"kind": "placed_without_execution"},
        {"kind": "ipc_error_without_execution", "code": -10002},
        {"kind": "restart"},
        {"kind": "retcode", "code": 10036},
        {"kind": "timeout_after_execution"},
        {"kind": "timeout_then_executed", "reads": 4},
    ],
    ids=str,
)
async def test_a_part_and_then_an_unknown_is_one_close(
    mode: MarginMode, then: dict[str, Any]
) -> None:
    stage = await scene(mode, {"kind": "partial_fill", "fraction": 0.5}, {**then, "nth": 2})
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert (result.success, result.outcome, result.volume) == (True, Outcome.DONE, LOTS)
    assert stage.exits == [0.2, 0.2]


@pytest.mark.parametrize("mode", MODES)
async def test_the_next_life_goes_on_with_a_close_of_which_a_part_is_done(
    mode: MarginMode,
) -> None:
    stage = await scene(
        mode,
        {"kind": "partial_fill", "fraction": 0.5},
        {"kind": "timeout_without_execution", "nth": 2},
    )
    request = CloseRequest(str(stage.ticket), stage.ticket, "ann", "t", idempotency_key="k")
    broker = stage.account.broker
    results: list[CloseResult] = []
    for policy in (ClosingPolicy(most_attempts=1), POLICY):
        closer = PositionCloser(clock=stage.clock, random=Random(1), policy=policy)
        account = closer.attach("ann", broker)
        account.wait_for_predecessor()
        results.append(await account.close(request))
    stage.assert_closed_exactly_once()
    assert [(r.outcome, r.volume) for r in results] == [
        (Outcome.PARTIAL, 0.2),
        (Outcome.DONE, LOTS),
    ]
    assert stage.exits == [0.2, 0.2]


@pytest.mark.parametrize(
    ("hand", "outcome"), [(0.3, Outcome.DONE), (0.4, Outcome.ALREADY_CLOSED), (1.0, None)]
)
@pytest.mark.parametrize("fault", [None, "timeout_after_execution"])
async def test_an_order_that_turns_a_net_position_around_is_undone(
    hand: float, outcome: Outcome | None, fault: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The owner sells between our read and our order; our order opens the opposite."""
    faults = [{"kind": fault, "nth": 3}] if fault else []
    stage = await scene(MarginMode.NETTING, *faults)
    stage = through(stage, Meddled(stage, lambda t: by_hand(t, SELL, hand)))
    result = await stage.close()
    assert_flat(stage)
    assert "reversal on ann" in caplog.text
    assert [r[0] for r in stage.ledger.reversals] == [str(stage.ticket)]
    assert stage.ledger.reversals[0][1].volume == pytest.approx(hand), "what it left open"
    if outcome is not None:
        assert (result.success, result.outcome) == (True, outcome)
    again = await stage.close("again")
    assert again.success
    assert_flat(stage)


async def test_what_the_owner_closes_in_part_on_a_hedging_account_is_left_to_us() -> None:
    stage = await scene(MarginMode.HEDGING)

    def close_part(terminal: SimulatedTerminal) -> None:
        terminal.order_send(
            {
                "action": 1,
                "symbol": "EURUSD",
                "volume": 0.3,
                "type": SELL,
                "type_filling": 1,
                "position": stage.ticket,
            }
        )

    stage = through(stage, Meddled(stage, close_part))
    result = await stage.close()
    stage.assert_closed_exactly_once()
    assert result.outcome is Outcome.DONE
    assert stage.exits == [0.3, 0.1]


@pytest.mark.parametrize("kind", ["timeout", "ipc_error", "placed"])
@pytest.mark.parametrize("reads", [1, 3, 5, 8])
async def test_an_unknown_after_a_stop_on_a_netting_account_is_waited_out(
    kind: str, reads: int
) -> None:
    """The stop has closed the position; our request still acts, later, and opens the opposite."""
    stage = await scene(
        MarginMode.NETTING,
        {"kind": "gone_by_stop_loss"},
        {"kind": f"{kind}_then_executed", "reads": reads},
    )
    result = await stage.close()
    for _ in range(10):
        stage.terminal.positions_get()
    assert_flat(stage)
    assert (result.success, result.outcome, result.pnl) == (True, Outcome.ALREADY_CLOSED, -8.0)


async def test_a_stop_in_between_on_a_netting_account_is_told_as_what_it_was() -> None:
    stage = await scene(MarginMode.NETTING, {"kind": "gone_by_stop_loss"})
    result = await stage.close()
    assert_flat(stage)
    assert (result.outcome, result.pnl, result.volume) == (Outcome.ALREADY_CLOSED, -8.0, 0.0)


async def test_a_reversal_is_found_although_the_read_back_fails_at_first() -> None:
    stage = await scene(
        MarginMode.NETTING,
        {"kind": "gone_by_stop_loss"},
        *(
            {
                "kind": "ipc_error_without_execution",
                "call": "positions_get",
                "code": -10000,
                "nth": n,
            }
            for n in (2, 3)
        ),
    )
    await stage.close()
    assert_flat(stage)


async def test_a_reversal_that_is_listed_late_is_found() -> None:
    stage = await scene(MarginMode.NETTING, {"kind": "gone_by_stop_loss"})
    terminal = stage.terminal

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(terminal, name)

        def positions_get(self, **which: Any) -> Any:
            found = terminal.positions_get(**which)
            return tuple(p for p in found or () if not (p.comment and stage.clock.seconds < 0.5))

    stage = through(stage, Late())
    await stage.close()
    assert_flat(stage)


@pytest.mark.parametrize("old_ticket_first", [True, False])
async def test_a_position_that_its_owner_turned_around_can_be_closed(
    old_ticket_first: bool,
) -> None:
    stage = await scene(MarginMode.NETTING)
    by_hand(stage.terminal, SELL, 0.7)
    if old_ticket_first:
        assert (await stage.close("names the old ticket")).success
    bulk = await close_all(stage, "trigger")
    assert_flat(stage)
    assert bulk.failed_closes == 0
    assert net(stage) == 0


async def test_a_position_that_grows_after_a_part_can_be_closed() -> None:
    stage = await scene(MarginMode.NETTING)
    await stage.close("part", volume=0.1)
    by_hand(stage.terminal, BUY, 0.4)
    result = await stage.close("rest")
    assert_flat(stage)
    assert (result.outcome, result.volume) == (Outcome.DONE, 0.7)
    assert stage.clock.seconds <= POLICY.settle_window_s + 5
