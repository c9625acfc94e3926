"""The account actor: one process, one account, one terminal.

A plain class that :mod:`actors.placement` makes remote. Its calls are synchronous, because a
terminal's binding blocks the whole process anyway and a synchronous actor's call costs half. Ray
runs them one at a time and in order, so the account is serial by construction. No method may be
a coroutine function: Ray would take the class for an asynchronous actor.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from actors.account_host import AccountHost
from actors.messages import (
    AccountBook,
    Activated,
    Activation,
    CloseReply,
    DealsPage,
    Exposure,
    LifeSign,
    Term,
    WatchReply,
)
from audit.chain import SealedRecord
from engine.mandates import Mandate

_T = TypeVar("_T")


class AccountActor:
    """One user account in a process of its own: an :class:`AccountHost`, call by call.

    Args:
        host: what it runs.
    """

    def __init__(self, host: AccountHost) -> None:
        """Begin without knowing the work; see :meth:`activate`."""
        self._host = host
        self._runner = asyncio.Runner()

    def activate(self, activation: Activation) -> Activated:
        """Connect to the broker and be ready."""
        return self._run(self._host.activate(activation))

    def life(self) -> LifeSign | None:
        """Say which life it is in."""
        return self._run(self._host.life())

    def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers."""
        return self._run(self._host.close(term, mandate, accepted_us, concludes))

    def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look, as often as the market moves, for ``slice_s`` seconds of work.

        Returns early when a guard trips, when the market moves only later, or never again. The
        waiting is left to the caller, so that a close never queues behind it.
        """
        return self._run(self._host.watch(term, slice_s))

    def exposure(self, term: Term) -> Exposure:
        """Count what is open."""
        return self._run(self._host.exposure(term))

    def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time."""
        return self._run(self._host.deals(term, since_ms, until_ms))

    def book(self) -> AccountBook:
        """Read the broker's own book: open positions, and all deals."""
        return self._run(self._host.book())

    def release(self) -> tuple[SealedRecord, ...]:
        """End this life cleanly; returns the records that are not known to be on disk."""
        return self._run(self._host.release())

    def end(self) -> None:
        """Let go of the actor's event loop, where it shares its process with others."""
        self._runner.close()

    def modules(self) -> list[str]:
        """Name the top-level modules that this process has imported."""
        return sorted({name.partition(".")[0] for name in sys.modules})

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)
