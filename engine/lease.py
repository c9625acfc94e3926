"""The lease: for how long one life of an account may send, by the holder's own clock.

A node that lost contact can keep a process alive beside its replacement. So a life sends only
while it holds a lease, and the one who grants it starts no successor before the lease's end. The
holder *asks*, and counts the lease from the moment at which it asked; the granter counts it from
the later moment at which it granted. So the holder's lease ends first, whatever the clocks show
and however long messages travel, as long as both clocks run at about the same rate.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.clock import Clock
from engine.errors import RiskEngineError

Renew = Callable[[float], Awaitable[bool]]
"""Asks for the lease anew; gets the moment of asking on the holder's monotonic clock.

``False``: a newer life has begun. Raises :class:`RiskEngineError` when nobody answers.
"""


class LeaseLost(RiskEngineError):
    """This life may not send any more: a newer one has begun, or nobody renewed its lease.

    Nothing was sent, and nothing that is under way became final; the next life settles it.
    """


class Permit(Protocol):
    """What a sender asks before every request."""

    def check(self) -> None:
        """Return if a request may leave at this moment.

        Raises:
            LeaseLost: it may not.
        """
        ...

    async def secured(self) -> None:
        """Return when requests may leave, after waiting for a renewal if need be.

        Raises:
            LeaseLost: they may not, and will not.
        """
        ...


class NoLease:
    """Always permits: for an embedding in which nothing else can act on the account."""

    def check(self) -> None:
        """Permit."""

    async def secured(self) -> None:
        """Permit."""


class Lease:
    """The holder's side of a lease.

    Args:
        clock: measures; never compared with another machine's.
        length_s: how long a grant lasts from the moment of asking.
        renew: asks for the next grant.
        patience_s: how long :meth:`secured` asks in vain before it gives up.
        renewed_every_s: how often :meth:`keep` renews at least: what comes with a renewal may be
            needed sooner than the lease itself.
    """

    def __init__(
        self,
        clock: Clock,
        length_s: float,
        renew: Renew,
        *,
        patience_s: float = 60.0,
        renewed_every_s: float = math.inf,
    ) -> None:
        """Begin without a grant."""
        self._clock = clock
        self._length_s = length_s
        self._renew = renew
        self._patience_s = patience_s
        self._kept_s = max(length_s / 2, length_s - renewed_every_s)
        self._end: float | None = None
        self._revoked: str | None = None

    @property
    def holds(self) -> bool:
        """Whether requests may leave now."""
        return (
            self._revoked is None and self._end is not None and self._clock.monotonic() < self._end
        )

    @property
    def is_revoked(self) -> bool:
        """Whether a newer life has begun."""
        return self._revoked is not None

    def grant(self, asked_at: float) -> None:
        """Take up a grant that was asked for at ``asked_at`` on this clock."""
        end = asked_at + self._length_s
        if self._end is None or end > self._end:
            self._end = end

    def revoke(self, why: str) -> None:
        """Send nothing any more, for good."""
        if self._revoked is None:
            self._revoked = why

    def check(self) -> None:
        """Return if a request may leave at this moment; see :class:`Permit`."""
        if self.holds:
            return
        raise LeaseLost(
            f"nothing was sent: {self._revoked or 'the lease has run out and was not renewed'}"
        )

    async def secured(self) -> None:
        """Return when requests may leave; see :class:`Permit`."""
        if self.holds:
            return
        give_up = self._clock.monotonic() + self._patience_s
        while not self.holds and self._revoked is None and self._clock.monotonic() < give_up:
            if not await self._renewed() and self._revoked is None:
                await self._clock.sleep(min(0.1, self._length_s / 10))
        self.check()

    async def keep(self) -> None:
        """Renew in good time, for ever; run it as a task while there is work."""
        while self._revoked is None:
            left = 0.0 if self._end is None else self._end - self._clock.monotonic()
            ahead = left - self._kept_s
            if ahead > 0:
                await self._clock.sleep(ahead)
            elif not await self._renewed():
                await self._clock.sleep(min(0.5, self._length_s / 10))

    async def _renewed(self) -> bool:
        asked_at = self._clock.monotonic()
        try:
            is_granted = await self._renew(asked_at)
        except RiskEngineError:
            return False  # nobody answered: the lease goes on as long as it goes
        if is_granted:
            self.grant(asked_at)
        else:
            self.revoke("a newer life of this account has begun")
        return self.holds
