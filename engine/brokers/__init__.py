"""Brokers: the port, the MetaTrader 5 adapter, and how an account's broker is opened."""

from __future__ import annotations

from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import load_broker, open_broker
from engine.brokers.mt5 import MT5Broker
from engine.brokers.port import (
    AccountState,
    Answer,
    Broker,
    ClosedBy,
    CloseOrder,
    Deal,
    DealEntry,
    MarginMode,
    MarketFeed,
    PendingOrder,
    Position,
    Quote,
    Side,
    SymbolSpec,
)

__all__ = [
    "AccountSpec",
    "AccountState",
    "Answer",
    "Broker",
    "CloseOrder",
    "ClosedBy",
    "Deal",
    "DealEntry",
    "MT5Broker",
    "MarginMode",
    "MarketFeed",
    "PendingOrder",
    "Position",
    "Quote",
    "Side",
    "SymbolSpec",
    "load_broker",
    "open_broker",
]
