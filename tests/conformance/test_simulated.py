"""The adapter over the simulated terminal, in one process."""

from __future__ import annotations

import pytest

from engine.brokers import MT5Broker
from engine.brokers.terminal_calls import InProcessCalls
from tests.conformance.broker_conformance import BrokerConformance, Stage
from tests.conformance.served_terminals import LOGIN, simulated_terminal
from tests.conformance.terminal_stage import TerminalStage


class TestSimulatedTerminal(BrokerConformance):
    @pytest.fixture(params=[True, False], ids=["hedging", "netting"])
    def stage(self, request: pytest.FixtureRequest) -> Stage:
        calls = InProcessCalls(simulated_terminal(hedging=request.param))
        broker = MT5Broker(calls, login=LOGIN)
        return TerminalStage(broker, calls, symbol="EURUSD", hedging=request.param)
