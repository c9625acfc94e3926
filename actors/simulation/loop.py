"""An event loop in virtual time: it never waits, it moves its clock to the next timer.

An own loop rather than a library. The candidate, looptime, is made for test suites: it polls
real I/O before every step, goes round idly some forty times before each jump of its clock, and
installs three pytest plugins in the environment of whoever installs this engine. What is needed
here is less, and two things more: tasks that hash by number, so that sets of them have the same
order in every run, and timers that belong to a simulated process and rest while it does.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

from actors.simulation.process import Process, current_process

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Deadlock(RuntimeError):
    """Everyone waits, and no timer is left that could wake anyone."""


class _NoFiles(selectors.BaseSelector):
    """A selector without files: "waiting" moves the clock on."""

    def __init__(self) -> None:
        """Begin at time 0."""
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Remember a file (the loop registers its own wake-up pipe); it is never ready."""
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget a file."""
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock by ``timeout``.

        Raises:
            Deadlock: the loop would wait for ever.
        """
        if timeout is None:
            raise Deadlock("the simulation stands still: everyone waits and no timer is set")
        self.now += timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the files."""
        return self._keys


class NumberedTask(asyncio.Task[Any]):
    """A task that hashes by the order of its making: sets of tasks keep one order in all runs."""

    def __init__(self, coro: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        """Make task ``number`` of its loop."""
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        """Return the number."""
        return self._number

    def __eq__(self, other: object) -> bool:
        """Compare by identity."""
        return self is other


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs as fast as it can; :meth:`time` is virtual seconds from 0."""

    def __init__(self) -> None:
        """Begin at time 0."""
        self._clock = _NoFiles()
        self._tasks_made = 0
        super().__init__(self._clock)
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # typeshed wants more of it

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._clock.now

    def next_number(self) -> int:
        """Number the next task."""
        self._tasks_made += 1
        return self._tasks_made

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run something next; what a simulated process runs is counted as a step of it."""
        process = (
            current_process.get(None) if context is None else context.get(current_process, None)
        )
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(partial(process.step, callback, *args), context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer; one that a simulated process sets rests while that process does."""
        process = current_process.get(None)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        handle: asyncio.TimerHandle

        def due() -> None:
            process.when_running(lambda: None if handle.cancelled() else callback(*args))

        handle = super().call_at(when, due, context=context)
        return handle


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    assert isinstance(loop, VirtualTimeLoop)
    task = NumberedTask(coro, loop.next_number(), loop=loop, **options)
    process: Process | None = current_process.get(None)
    if process is not None:
        process.adopt(task)
    return task


def run_in_virtual_time(main: Coroutine[Any, Any, _T]) -> _T:
    """Run ``main`` to its end, cancel what it left behind, and return its result.

    Raises:
        Deadlock: everyone waits for ever.
    """
    loop = VirtualTimeLoop()
    # What a killed process leaves unsaid is part of the play, not a defect of the program.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        task = loop.create_task(main)
        result: _T = loop.run_until_complete(task)
        cancel_rest(loop)
        return result
    finally:
        loop.close()


def cancel_rest(loop: VirtualTimeLoop) -> None:
    """Cancel the tasks that are left, in the order of their making, and wait for their ends."""
    rest = sorted(asyncio.all_tasks(loop), key=hash)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
