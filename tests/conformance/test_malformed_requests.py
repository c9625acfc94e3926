"""A request that the binding refuses by its types has not been sent, and the closer says so."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engine.brokers import MT5Broker
from engine.brokers.terminal_calls import InProcessCalls
from engine.closer import PositionCloser
from engine.outcomes import Outcome
from engine.simulated import AccountSettings, MarginMode, SimulatedTerminal
from tests.conformance.test_closing_under_faults import LOTS, MODES, POLICY, Scene, scene


class Garbling:
    """A terminal that gets one field of every request as text, while ``garbles`` is on."""

    def __init__(self, terminal: SimulatedTerminal, field: str) -> None:
        self._terminal = terminal
        self._field = field
        self.garbles = True

    def __getattr__(self, function: str) -> Any:
        return getattr(self._terminal, function)

    def order_send(self, request: dict[str, Any]) -> Any:
        if self.garbles:
            request = {**request, self._field: str(request[self._field])}
        return self._terminal.order_send(request)


async def garbled(mode: MarginMode, field: str) -> tuple[Scene, Garbling]:
    """A scene whose account is reached through a terminal that garbles."""
    stage = await scene(mode)
    garbling = Garbling(stage.terminal, field)
    broker = MT5Broker(InProcessCalls(garbling), login=AccountSettings().login)
    closer = PositionCloser(clock=stage.clock, random=Random(1), policy=POLICY)
    stage.account = closer.attach("ann", broker, ledger=stage.ledger)
    return stage, garbling


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("field", ["volume", "price", "position", "type_filling"])
async def test_an_invalid_argument_is_not_sent(mode: MarginMode, field: str) -> None:
    stage, garbling = await garbled(mode, field)
    result = await stage.close()
    assert (result.success, result.outcome) == (False, Outcome.NOT_SENT)
    assert f'Invalid "{field}" argument' in (result.error_message or "")
    assert [p.volume for p in stage.terminal.book.positions.values()] == [LOTS]
    assert stage.exits == []
    ((_, evidence),) = stage.ledger.entries
    assert {attempt.code for attempt in evidence.attempts} == {-2}

    garbling.garbles = False
    assert (await stage.close("again")).outcome is Outcome.DONE
    stage.assert_closed_exactly_once()
