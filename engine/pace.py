"""Pace: an account's share of the requests that its broker's server takes from all of us.

A broker counts the requests of all connections from one place, and answers 10024 (too many) or
worse. Every account gets a share of that budget and spaces its requests by it; closes go first.
Reads are answered by the terminal itself and do not count.

Known limiters do not fit: aiolimiter measures with the event loop's own clock and leaves its
waiters to that loop's timers, but an account's loop stands still between calls, and tests run on
virtual time. What is needed is a few lines on the clock that is passed in.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from engine import arguments
from engine.clock import Clock

_LONGEST_NAP_S = 0.5
"""Sleepers look up this often: the share may have grown."""


class Priority(IntEnum):
    """Who goes first: the lower number."""

    CLOSE = 0
    CANCEL = 1
    OTHER = 2


class Pace:
    """Spaces one account's requests evenly: never two closer than the share allows.

    Without a share nothing waits. There is no saving up: an account that was idle has one request
    at once, so that the shares of all accounts together never exceed the server's budget by more
    than one request each.
    """

    def __init__(self, clock: Clock) -> None:
        """Start without a limit."""
        self._clock = clock
        self._distance_s: float | None = None
        self._last: float | None = None
        self._waiting: list[tuple[Priority, int]] = []
        self._arrivals = count()

    def set_share(self, per_s: float | None) -> None:
        """Allow ``per_s`` requests a second from now on; ``None`` lifts the limit.

        Raises:
            ValueError: the share is not above 0.
        """
        self._distance_s = (
            None if per_s is None else 1.0 / arguments.positive_number("per_s", per_s)
        )

    async def turn(self, priority: Priority) -> None:
        """Return when one request may leave; whoever has the higher priority goes first."""
        if self._distance_s is None and not self._waiting:
            return
        place = (priority, next(self._arrivals))
        heappush(self._waiting, place)
        try:
            while (nap := self._nap_s(place)) > 0:
                await self._clock.sleep(nap)
        finally:
            self._leave(place)
        self.leaves()

    def leaves(self) -> None:
        """Count the distance from now: the request of a turn that was kept leaves only now."""
        self._last = self._clock.monotonic()

    def _nap_s(self, place: tuple[Priority, int]) -> float:
        if self._distance_s is None:
            return 0.0
        now = self._clock.monotonic()
        left = 0.0 if self._last is None else self._last + self._distance_s - now
        if left <= 0 and self._waiting[0] == place:
            return 0.0
        return min(_LONGEST_NAP_S, left if left > 0 else self._distance_s)

    def _leave(self, place: tuple[Priority, int]) -> None:
        if self._waiting[0] == place:
            heappop(self._waiting)
        else:  # it was cancelled, or the limit was lifted
            self._waiting = sorted(waiting for waiting in self._waiting if waiting != place)
