"""The account actor: one process, one account, one terminal.

A plain class that :mod:`actors.placement` makes remote. Its calls are synchronous, because a
terminal's binding blocks the whole process anyway and a synchronous actor's call costs half. Ray
runs them one at a time and in order, so the account is serial by construction. No method may be
a coroutine function: Ray would take the class for an asynchronous actor.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from actors.life import AccountLife
from actors.links import NotActivated
from actors.messages import AccountBook, Activated, Activation, CloseReply, WatchReply
from actors.recording import Ship
from audit.chain import SealedRecord
from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import open_broker
from engine.brokers.port import Broker
from engine.clock import Clock, SystemClock
from engine.models import CloseRequest, GuardTrigger

_T = TypeVar("_T")


class AccountActor:
    """One user account in a process of its own.

    Every call but :meth:`activate` and :meth:`release` raises :class:`NotActivated` on an actor
    that does not know its work (yet, or since Ray has started it anew).

    Args:
        user_id: all that the actor is started with: Ray starts it again with the same arguments,
            so everything that can change comes with :meth:`activate`.
        ship: sends records to the audit ahead of the reply.
        open_account: makes the broker of a spec.
        clock: time.
    """

    def __init__(
        self,
        user_id: str,
        *,
        ship: Ship | None = None,
        open_account: Callable[[AccountSpec], Broker] = open_broker,
        clock: Clock | None = None,
    ) -> None:
        """Begin without knowing the work; see :meth:`activate`."""
        self.user_id = user_id
        self._ship = ship
        self._open_account = open_account
        self._clock = clock or SystemClock()
        self._runner = asyncio.Runner()
        self._life: AccountLife | None = None

    def activate(self, activation: Activation) -> Activated:
        """Connect to the broker and be ready. A second activation begins a new life.

        Raises:
            BrokerError: the broker cannot be reached or leads to another account.
            ValueError: the account's specification is wrong.
        """
        if self._life is not None:
            old, self._life = self._life, None
            self._run(old.disconnect())
        broker = self._open_account(activation.spec)
        life = AccountLife(self.user_id, broker, activation, self._clock, self._ship)
        activated = self._run(life.begin(os.getpid()))
        self._life = life
        return activated

    def liquidate(self, trigger: GuardTrigger) -> CloseReply:
        """Close what a trigger covers; an unreadable broker is an error in the reply."""
        return self._run(self._alive().liquidate(trigger))

    def close(self, request: CloseRequest) -> CloseReply:
        """Close one position; see :meth:`AccountLife.close`."""
        return self._run(self._alive().close(request))

    def close_all(
        self, reason: str, positions: Sequence[Mapping[str, Any]] | None, key: str | None
    ) -> CloseReply:
        """Close given positions, or all that are open."""
        return self._run(self._alive().close_all(reason, positions, key))

    def watch(self, slice_s: float) -> WatchReply:
        """Let the guards look, as often as the market moves, for ``slice_s`` seconds of work.

        Returns early when a guard trips, when the market moves only later, or never again. The
        waiting is left to the caller, so that a close never queues behind it.
        """
        return self._run(self._alive().watch(slice_s))

    def book(self) -> AccountBook:
        """Read the broker's own book: open positions, and all deals."""
        return self._run(self._alive().book())

    def release(self) -> tuple[SealedRecord, ...]:
        """End this life cleanly; returns its last records."""
        if self._life is None:
            return ()
        life, self._life = self._life, None
        return self._run(life.release())

    def end(self) -> None:
        """Let go of the actor's event loop, where it shares its process with others."""
        self._runner.close()

    def modules(self) -> list[str]:
        """Name the top-level modules that this process has imported."""
        return sorted({name.partition(".")[0] for name in sys.modules})

    def _alive(self) -> AccountLife:
        if self._life is None:
            raise NotActivated(f"the actor of account {self.user_id!r} has not been activated")
        return self._life

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)
