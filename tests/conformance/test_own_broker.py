"""The broker that the documentation shows, loaded as a user's own and put to the suite."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.brokers import AccountSpec, Broker, Side, open_broker
from tests.conformance.broker_conformance import BrokerConformance, Stage

_PAGE = Path(__file__).parents[2] / "docs" / "brokers.md"


class PaperStage:
    """The documentation's paper broker, with a hand on its venue's side."""

    symbol = "EURUSD"
    lots = 0.2
    hedging = True

    def __init__(self, broker: Any) -> None:
        self._venue = broker
        self.broker: Broker = broker

    async def open_position(self, side: Side, lots: float) -> int:
        ticket: int = self._venue.open_position(side, lots)
        return ticket

    async def place_pending(self) -> int:
        ticket: int = self._venue.place_pending()
        return ticket


class TestDocumentedBroker(BrokerConformance):
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Stage:
        blocks = re.findall(
            r"^```python\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        house = ModuleType("house")
        module = ModuleType("house.broker")
        monkeypatch.setitem(sys.modules, "house", house)
        monkeypatch.setitem(sys.modules, "house.broker", module)
        exec(compile(blocks[-1], str(_PAGE), "exec", dont_inherit=True), module.__dict__)
        namespace: dict[str, Any] = {}
        call = blocks[0].replace("\nAccountSpec(", "\nspec = AccountSpec(")
        exec(compile(call, str(_PAGE), "exec", dont_inherit=True), namespace)
        spec: AccountSpec = namespace["spec"]
        return PaperStage(open_broker(spec))
