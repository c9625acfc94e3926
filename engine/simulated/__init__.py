"""A simulated MetaTrader 5 terminal: the package's surface over recorded or generated prices.

Everything a test of trading software needs from a broker, in one process and in market time:

>>> from array import array
>>> from engine.prices.path import PricePath
>>> from engine.simulated import AccountSettings, Market, SimulatedTerminal
>>> falling = PricePath(
...     symbol="EURUSD",
...     digits=5,
...     source="example",
...     times_ms=array("q", [0, 1_000, 2_000]),
...     bids=array("d", [1.10000, 1.09500, 1.09000]),
...     asks=array("d", [1.10010, 1.09510, 1.09010]),
... )
>>> mt5 = SimulatedTerminal(Market([falling]), AccountSettings(deposit=10_000.0, leverage=100))
>>> mt5.initialize()
True
>>> bought = mt5.Buy("EURUSD", 1.0)
>>> bought.retcode == mt5.TRADE_RETCODE_DONE, bought.price
(True, 1.1001)
>>> mt5.advance()
True
>>> mt5.account_info().profit
-510.0
>>> mt5.Close("EURUSD")
True
>>> [(deal.entry, deal.price, deal.profit) for deal in mt5.history_deals_get(position=bought.order)]
[(0, 1.1001, 0.0), (1, 1.095, -510.0)]

What can go wrong between a client and its broker is stated as data:

>>> from engine.simulated import Fault, FaultKind, FaultPlan
>>> plan = FaultPlan((Fault(FaultKind.TIMEOUT_AFTER_EXECUTION),))
>>> mt5 = SimulatedTerminal(Market([falling]), faults=plan)
>>> mt5.initialize()
True
>>> mt5.Buy("EURUSD", 0.1).retcode == mt5.TRADE_RETCODE_TIMEOUT
True
>>> len(mt5.positions_get())
1
"""

from __future__ import annotations

from engine.simulated.account import AccountSettings
from engine.simulated.faults import Fault, FaultKind, FaultPlan
from engine.simulated.market import Market
from engine.simulated.numbers import (
    AccountKind,
    CalcMode,
    Execution,
    FillingMask,
    MarginMode,
    OrderMask,
    StopOutMode,
    SwapMode,
    TradeMode,
)
from engine.simulated.price_shocks import (
    PriceShock,
    ShockKind,
    with_gap,
    with_shocks,
    with_wide_spread,
)
from engine.simulated.sessions import FOREX_SESSIONS, Session
from engine.simulated.symbols import CATALOGUE, SymbolSettings, symbol_settings
from engine.simulated.terminal import SimulatedTerminal
from engine.simulated.valuation import MarginState

__all__ = [
    "CATALOGUE",
    "FOREX_SESSIONS",
    "AccountKind",
    "AccountSettings",
    "CalcMode",
    "Execution",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FillingMask",
    "MarginMode",
    "MarginState",
    "Market",
    "OrderMask",
    "PriceShock",
    "Session",
    "ShockKind",
    "SimulatedTerminal",
    "StopOutMode",
    "SwapMode",
    "SymbolSettings",
    "TradeMode",
    "symbol_settings",
    "with_gap",
    "with_shocks",
    "with_wide_spread",
]
