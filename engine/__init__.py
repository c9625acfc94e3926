"""The engine: guards, closing, brokers. Plain asyncio; knows neither Ray nor databases.

Names are loaded at first use, so that an account's process pays only for what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.brokers.account_spec import AccountSpec
    from engine.brokers.port import Broker
    from engine.closer import PositionCloser, get_position_closer
    from engine.config import EngineConfig
    from engine.errors import IdempotencyConflict, MarketClosed, RiskEngineError, UnknownAccount
    from engine.guards.drawdown import DrawdownAlert, DrawdownGuard, get_drawdown_guard
    from engine.guards.market import MarketGuard, MarketReason, get_market_guard
    from engine.models import (
        BulkCloseResult,
        CloseRequest,
        CloseResult,
        GuardTrigger,
        GuardType,
        PositionRef,
        Severity,
    )
    from engine.outcomes import Outcome
    from engine.policy import ClosingOrder, ClosingPolicy

__all__ = [
    "AccountSpec",
    "Broker",
    "BulkCloseResult",
    "CloseRequest",
    "CloseResult",
    "ClosingOrder",
    "ClosingPolicy",
    "DrawdownAlert",
    "DrawdownGuard",
    "EngineConfig",
    "GuardTrigger",
    "GuardType",
    "IdempotencyConflict",
    "MarketClosed",
    "MarketGuard",
    "MarketReason",
    "Outcome",
    "PositionCloser",
    "PositionRef",
    "RiskEngineError",
    "Severity",
    "UnknownAccount",
    "get_drawdown_guard",
    "get_market_guard",
    "get_position_closer",
]

_HOMES = {
    "engine.brokers.account_spec": ("AccountSpec",),
    "engine.brokers.port": ("Broker",),
    "engine.closer": ("PositionCloser", "get_position_closer"),
    "engine.config": ("EngineConfig",),
    "engine.errors": ("IdempotencyConflict", "MarketClosed", "RiskEngineError", "UnknownAccount"),
    "engine.guards.drawdown": ("DrawdownAlert", "DrawdownGuard", "get_drawdown_guard"),
    "engine.guards.market": ("MarketGuard", "MarketReason", "get_market_guard"),
    "engine.models": (
        "BulkCloseResult",
        "CloseRequest",
        "CloseResult",
        "GuardTrigger",
        "GuardType",
        "PositionRef",
        "Severity",
    ),
    "engine.outcomes": ("Outcome",),
    "engine.policy": ("ClosingOrder", "ClosingPolicy"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
