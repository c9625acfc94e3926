"""Time, passed in: one clock for production, any other for tests and simulation."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What the engine asks of time. Wall time dates facts; monotonic time measures durations."""

    def wall_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin, never running backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for ``seconds``."""
        ...


class SystemClock:
    """The machine's own clocks and the running event loop's timer."""

    def wall_us(self) -> int:
        """Microseconds since 1970-01-01 UTC, from the system's real-time clock."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep in the running asyncio loop."""
        await asyncio.sleep(seconds)


def to_datetime(wall_us: int) -> datetime:
    """Turn microseconds since the epoch into an aware UTC datetime, exactly."""
    return _EPOCH + timedelta(microseconds=wall_us)


def to_wall_us(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since the epoch, exactly.

    Raises:
        ValueError: ``moment`` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"moment={moment!r} has no time zone; use datetime.now(UTC)")
    return (moment - _EPOCH) // timedelta(microseconds=1)
