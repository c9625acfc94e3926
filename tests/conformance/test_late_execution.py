"""A venue that executes a request after its settle window: no client can exclude it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.outcomes import Outcome
from engine.simulated import MarginMode, SimulatedTerminal
from tests.conformance.test_closing_under_faults import LOTS, MODES, POLICY, scene
from tests.conformance.test_parts_and_reversals import net, through


class Holding:
    """A terminal that says nothing proven of the first request and keeps it to itself."""

    def __init__(self, terminal: SimulatedTerminal) -> None:
        self._terminal = terminal
        self.held: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)

    def order_send(self, request: dict[str, Any]) -> Any:
        answer = self._terminal.order_send(request)
        if not self.held:
            self.held.append(request)
        return answer


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_executed_after_its_window_closes_twice_on_a_netting_account(
    mode: MarginMode,
) -> None:
    stage = await scene(mode, {"kind": "timeout_without_execution"})
    terminal = Holding(stage.terminal)
    stage = through(stage, terminal)
    result = await stage.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert stage.clock.seconds >= POLICY.settle_window_s
    assert net(stage) == 0
    stage.terminal.order_send(terminal.held[0])  # only now
    if mode is MarginMode.HEDGING:
        assert net(stage) == 0, "its ticket is closed: the venue refuses it"
    else:
        assert net(stage) == -LOTS
    assert await stage.close() == result, "what was answered stays answered"
