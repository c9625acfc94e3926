"""Clocks of simulated processes: wall time off by some, monotonic time off by a little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.simulation.process import Process

EPOCH_US = 1_700_000_000_000_000
"""Wall time at the loop's time 0: 2023-11-14 22:13:20 UTC."""


class TrueTime:
    """The simulation's own time, which nobody in it can read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read ``loop``'s time."""
        self._loop = loop

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._loop.time()

    def wall_us(self) -> int:
        """Return µs since 1970."""
        return EPOCH_US + round(self._loop.time() * 1e6)

    def wall_ms(self) -> int:
        """Return ms since 1970, as the venue counts them."""
        return EPOCH_US // 1000 + int(self._loop.time() * 1e3)


class ProcessClock:
    """The clock that one process reads, an :class:`engine.clock.Clock`.

    Args:
        time: the true time.
        process: whose clock it is; a dead one sleeps no more.
        drift: of the monotonic clock, e.g. 1e-4 runs a tenth of a thousandth too fast.
        origin_s: what the monotonic clock shows at time 0.
    """

    def __init__(
        self, time: TrueTime, process: Process, *, drift: float = 0.0, origin_s: float = 0.0
    ) -> None:
        """Begin without skew."""
        self._time = time
        self._process = process
        self._rate = 1.0 + drift
        self._origin_s = origin_s
        self.skew_us = 0
        """How far the wall clock is ahead; may be set at any time, as a time server does."""
        self.at_reading: Callable[[], object] | None = None
        """Told of every reading of the wall clock."""

    def wall_us(self) -> int:
        """Return µs since 1970, with the skew."""
        if self.at_reading is not None:
            self.at_reading()
        return self._time.wall_us() + self.skew_us

    def monotonic(self) -> float:
        """Return seconds from this clock's own origin."""
        return self._origin_s + self._time.seconds() * self._rate

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        self._process.check()
        await asyncio.sleep(seconds / self._rate if seconds > 0 else 0)
        self._process.check()
