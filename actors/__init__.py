"""Actors: the supervisor, one actor per user account, the audit actor, and the engine's handle.

The handles are loaded at first use, so that an account's process pays only for what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.async_handle import AsyncRiskEngine
    from actors.handle import RiskEngine

__all__ = ["AsyncRiskEngine", "RiskEngine"]

_HOMES = {"AsyncRiskEngine": "actors.async_handle", "RiskEngine": "actors.handle"}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
