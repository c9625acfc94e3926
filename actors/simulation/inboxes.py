"""How an actor's process takes calls: one at a time, or side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from actors.simulation.network import Answer
from actors.simulation.process import Process


class SideBySide:
    """An asynchronous actor: every call runs at once, beside the others."""

    def __init__(self, process: Process, actor: object) -> None:
        """Serve ``actor``'s methods in ``process``."""
        self.process = process
        self._actor = actor

    def deliver(self, method: str, args: tuple[Any, ...], answer: Answer) -> None:
        """Start the call."""
        self.process.when_running(
            lambda: self.process.run(_serve(self._actor, method, args, answer))
        )


class OneByOne:
    """A synchronous actor: calls are served in order of arrival.

    Its event loop runs while a call does and rests in between, as ``asyncio.Runner`` does: with
    ``rests`` nothing of the process moves between two calls.
    """

    def __init__(self, process: Process, actor: object, *, rests: bool) -> None:
        """Serve ``actor``'s methods in ``process``."""
        self.process = process
        self._actor = actor
        self._rests = rests
        self._waiting: deque[tuple[str, tuple[Any, ...], Answer]] = deque()
        self._is_busy = False
        if rests:
            process.stop()

    def deliver(self, method: str, args: tuple[Any, ...], answer: Answer) -> None:
        """Queue the call."""
        if not self.process.is_alive:
            return
        self._waiting.append((method, args, answer))
        if not self._is_busy:
            self._begin()

    def _begin(self) -> None:
        self._is_busy = True
        if self._rests:
            self.process.go_on()
        self.process.when_running(self._serve_next)

    def _serve_next(self) -> None:
        method, args, answer = self._waiting.popleft()
        self.serving(method, args)

        def answered(is_good: bool, value: Any) -> None:
            answer(is_good, value)
            self._end()

        self.process.run(_serve(self._actor, method, args, answered))

    def serving(self, method: str, args: tuple[Any, ...]) -> None:
        """Take note that a call is served now; the base class does not care."""

    def _end(self) -> None:
        if not self.process.is_alive:
            return
        if self._rests:
            self.process.stop()
        self._is_busy = False
        if self._waiting:
            self._begin()


async def _serve(actor: object, method: str, args: tuple[Any, ...], answer: Answer) -> None:
    call: Callable[..., Any] = getattr(actor, method)
    try:
        value = await call(*args)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # the caller gets it, whatever it is
        answer(False, error)
    else:
        answer(True, value)
