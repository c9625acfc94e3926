"""The account actor's core: which life the account is in, as plain asyncio.

:class:`actors.account.AccountActor` runs it call by call in a process of its own; whoever hosts
it must serve one call at a time, in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from actors.life import AccountLife
from actors.links import EngineSide, NotActivated
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
from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import open_broker
from engine.brokers.port import Broker
from engine.clock import Clock
from engine.mandates import Mandate


class AccountHost:
    """One user account and its present life; an :class:`actors.links.AccountLink`.

    Every call but :meth:`activate`, :meth:`life` and :meth:`release` raises
    :class:`NotActivated` on a host that does not know its work (yet, or since its process was
    started anew), or that is in another life than the call means.

    Args:
        user_id: all that the actor is started with: Ray starts it again with the same arguments,
            so everything that can change comes with :meth:`activate`.
        side: the engine around it.
        open_account: makes the broker of a spec.
        clock: time.
        process: identity of the process that it lives in.
    """

    def __init__(
        self,
        user_id: str,
        side: EngineSide,
        *,
        clock: Clock,
        process: str,
        open_account: Callable[[AccountSpec], Broker] = open_broker,
    ) -> None:
        """Begin without knowing the work; see :meth:`activate`."""
        self.user_id = user_id
        self._side = side
        self._open_account = open_account
        self._clock = clock
        self._process = process
        self._life: AccountLife | None = None

    async def activate(self, activation: Activation) -> Activated:
        """Connect to the broker and be ready. A later activation begins a new life.

        Raises:
            BrokerError: the broker cannot be reached or leads to another account.
            ValueError: the account's specification is wrong.
            NotActivated: a newer life has begun here already; this activation came late.
        """
        if self._life is not None:
            if self._life.incarnation >= activation.opened.incarnation:
                raise NotActivated(
                    f"the actor of account {self.user_id!r} is in life {self._life.incarnation}; "
                    f"life {activation.opened.incarnation} is over before it began"
                )
            old, self._life = self._life, None
            await old.disconnect()
        broker = self._open_account(activation.spec)
        life = AccountLife(self.user_id, broker, activation, self._clock, self._side, self._process)
        try:
            activated = await life.begin(os.getpid())
        except Exception:
            await life.disconnect()
            raise
        self._life = life
        return activated

    async def life(self) -> LifeSign | None:
        """Say which life it is in; ``None`` before the first, and after one that is over."""
        if self._life is None or self._life.is_superseded:
            return None
        return self._life.sign()

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers; see :meth:`AccountLife.close`."""
        return await self._alive().close(term, mandate, accepted_us, concludes)

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look; see :meth:`AccountLife.watch`."""
        return await self._alive().watch(term, slice_s)

    async def exposure(self, term: Term) -> Exposure:
        """Count what is open."""
        return await self._alive().exposure(term)

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time."""
        return await self._alive().deals(term, since_ms, until_ms)

    async def book(self) -> AccountBook:
        """Read the broker's own book: open positions, and all deals."""
        return await self._alive().book()

    async def release(self) -> tuple[SealedRecord, ...]:
        """End this life cleanly; returns the records that are not known to be on disk."""
        if self._life is None:
            return ()
        life, self._life = self._life, None
        return await life.release()

    def _alive(self) -> AccountLife:
        if self._life is None:
            raise NotActivated(f"the actor of account {self.user_id!r} has not been activated")
        return self._life
