"""A run's figures, a position's deals and its record, each changed where a test wants it."""

from __future__ import annotations

from typing import Any

from actors.messages import AccountBook
from actors.stress.summary import Spread, Summary
from audit.records import AuditRecord, EventType
from engine.brokers.port import ClosedBy, Deal, DealEntry, Position, Side
from engine.identity import close_id, close_tag
from engine.outcomes import Outcome

TAG = close_tag(close_id("ann", "7", "key"))
"""A comment that only this engine writes."""


def summary(**changed: Any) -> Summary:
    """Make the figures of a good run."""
    figures: dict[str, Any] = {
        "accounts": 2,
        "positions": 6,
        "triggers": 2,
        "closed": 6,
        "failed": 0,
        "residual": 0,
        "double_closes": 0,
        "audit_records": 16,
        "chain_ok": True,
        "total_pnl": -14_539.57,
        "currency": "EUR",
        "arming_s": 1.0,
        "makespan_s": 0.1,
        "ideal_s": 0.06,
        "closes_per_s": 60.0,
        "time_to_flat_s": Spread(0.05, 0.06, 0.06),
        "trigger_to_first_order_ms": Spread(2.0, 3.0, 3.0),
        "scenario": "snb-2015",
        "symbol": "EURCHF",
        "seed": 1,
        "latency_ms": 20.0,
        "leverage": "5:30",
        "trigger": "guards",
        "mismatches": 0,
        "mismatch_examples": [],
        "chain_problem": None,
        "interrupted": False,
    }
    return Summary(**{**figures, **changed})


def entry(identifier: int = 7, **changed: Any) -> Deal:
    """Make the deal that opened a position of one lot."""
    deal: dict[str, Any] = {
        "ticket": identifier * 10,
        "order": identifier,
        "identifier": identifier,
        "symbol": "EURUSD",
        "entry": DealEntry.IN,
        "side": Side.LONG,
        "volume": 1.0,
        "price": 1.2,
        "profit": 0.0,
        "commission": 0.0,
        "swap": 0.0,
        "fee": 0.0,
        "comment": "",
        "closed_by": ClosedBy.EXPERT,
        "time_ms": 1_000,
    }
    return Deal(**{**deal, **changed})


def exit_deal(identifier: int = 7, **changed: Any) -> Deal:
    """Make the deal by which this engine has closed it, at a loss of 1,000."""
    deal: dict[str, Any] = {
        "ticket": identifier * 10 + 1,
        "entry": DealEntry.OUT,
        "side": Side.SHORT,
        "price": 1.19,
        "profit": -1_000.0,
        "comment": TAG,
        "time_ms": 2_000,
    }
    return entry(identifier, **{**deal, **changed})


def book(*deals: Deal, open_positions: int = 0) -> AccountBook:
    """Make ann's account at the broker."""
    positions = tuple(
        Position(n, n, "EURUSD", Side.LONG, 1.0, 1.2, 1.19, -1_000.0, 0.0, 1_000)
        for n in range(1, open_positions + 1)
    )
    return AccountBook("ann", "USD", positions, deals)


def record(position: int = 7, **changed: Any) -> AuditRecord:
    """Make the store's record of that close."""
    fields: dict[str, Any] = {
        "event_id": f"close-of-{position}",
        "event_type": EventType.POSITION_CLOSED,
        "user_id": "ann",
        "occurred_at": 3_000_000,
        "position_id": str(position),
        "ticket": position,
        "volume": 1.0,
        "closed_price": 1.19,
        "pnl": -1_000.0,
        "outcome": Outcome.DONE.value,
        "meta_data": {"position": str(position)},
    }
    return AuditRecord(**{**fields, **changed})
