"""Waiting for evidence: look, wait a growing while, look again, until a deadline.

The waiting is tenacity's, on the clock and the randomness that were passed in, so that it runs
under virtual time, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from engine.clock import Clock

_T = TypeVar("_T")


class Patience:
    """Repeats a look until it finds something or the time is up.

    Waits double from ``first_s`` to ``longest_s``, each shortened by up to a fifth at random, so
    that a thousand accounts do not ask one server in step.
    """

    def __init__(self, clock: Clock, random: Random, *, first_s: float, longest_s: float) -> None:
        """Keep the clock, the randomness and the shortest and longest wait in seconds."""
        self._clock = clock
        self._random = random
        self._first_s = first_s
        self._longest_s = longest_s

    def wait_s(self, look: int) -> float:
        """Return the wait after the ``look``-th look (from 1)."""
        whole = min(self._longest_s, self._first_s * 2.0 ** min(look - 1, 30))
        return whole * (1.0 - 0.2 * self._random.random())

    async def until(self, look: Callable[[], Awaitable[_T | None]], within_s: float) -> _T | None:
        """Look until the answer is not ``None``; ``None`` after ``within_s`` seconds.

        The last look happens at or after the deadline, so nothing that appeared within it is
        missed.
        """
        found = await look()
        if found is not None:
            return found
        end = self._clock.monotonic() + within_s

        def remaining_wait(state: RetryCallState) -> float:
            return max(
                0.0, min(self.wait_s(state.attempt_number + 1), end - self._clock.monotonic())
            )

        async def again() -> _T | None:
            return await look()  # ``look`` may be any callable; tenacity awaits functions only

        looking = AsyncRetrying(
            sleep=self._clock.sleep,
            wait=remaining_wait,
            stop=lambda _: self._clock.monotonic() >= end,
            retry=retry_if_result(lambda answer: answer is None),
            retry_error_callback=lambda _: None,
        )
        await self._clock.sleep(min(self.wait_s(1), within_s))
        return await looking(again)
