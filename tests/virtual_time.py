"""A clock that tests move by hand: sleeping takes no time and moves it on."""

from __future__ import annotations

import asyncio


class VirtualClock:
    """Sleeps return at once and add to both clocks; every sleep is noted."""

    def __init__(self, wall_us: int = 1_700_000_000_000_000) -> None:
        self.start_us = wall_us
        self.seconds = 0.0
        self.sleeps: list[float] = []

    def wall_us(self) -> int:
        return self.start_us + round(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)
