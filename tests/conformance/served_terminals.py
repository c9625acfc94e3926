"""Terminals that the bridge's server, or a test itself, puts in the place of ``MetaTrader5``."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.prices.path import PricePath
from engine.simulated.account import AccountSettings
from engine.simulated.faults import FaultPlan
from engine.simulated.market import Market
from engine.simulated.numbers import MarginMode
from engine.simulated.symbols import symbol_settings
from engine.simulated.terminal import SimulatedTerminal
from tests.unit.brokers import scripted_terminal
from tests.unit.brokers.scripted_terminal import LOGIN, ScriptedTerminal

__all__ = ["LOGIN", "dying_terminal", "hanging_terminal", "simulated_terminal"]


class HangingTerminal(ScriptedTerminal):
    """Counts an order and never answers it; its one position's comment tells the count."""

    def order_send(self, request: dict[str, Any]) -> None:
        self.calls.append(("order_send", (request,), {}))
        threading.Event().wait()

    def positions_get(self, **_: Any) -> tuple[NamedTuple, ...]:
        count = f"orders sent: {len(self.sent)}"
        return (struct(scripted_terminal.position_info(comment=count)),)


class DyingTerminal(ScriptedTerminal):
    """Takes its whole process with it when it gets an order."""

    def order_send(self, _: dict[str, Any]) -> None:
        os._exit(1)


def simulated_terminal(
    *, hedging: bool = True, faults: Sequence[Mapping[str, Any]] = ()
) -> SimulatedTerminal:
    """A quiet market in EURUSD, with commission, and an account of :data:`LOGIN`."""
    path = PricePath(
        symbol="EURUSD",
        digits=5,
        source="conformance",
        times_ms=array("q", [1_700_000_000_000, 1_700_000_001_000]),
        bids=array("d", [1.1, 1.1001]),
        asks=array("d", [1.10012, 1.10022]),
    )
    settings = replace(symbol_settings("EURUSD", 5), commission_per_lot=3.5)
    account = AccountSettings(
        login=LOGIN, margin_mode=MarginMode.HEDGING if hedging else MarginMode.NETTING
    )
    plan = FaultPlan.from_data(faults)
    return SimulatedTerminal(Market([path], [settings]), account, faults=plan)


def hanging_terminal() -> HangingTerminal:
    return HangingTerminal(**_structs())


def dying_terminal() -> DyingTerminal:
    return DyingTerminal(**_structs())


def struct(fields: Any) -> Any:
    """Make a struct with ``_asdict()``, as the binding's have it."""
    names = vars(fields)
    kind = NamedTuple("Struct", [(name, object) for name in names])  # type: ignore[misc]
    return kind(**names)


def _structs() -> dict[str, object]:
    tick = ScriptedTerminal().symbol_info_tick("EURUSD")
    return {
        "account_info": struct(scripted_terminal.account_info()),
        "symbol_info": struct(scripted_terminal.symbol_info()),
        "symbol_info_tick": struct(tick),
    }
