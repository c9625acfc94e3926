"""A simulated process: tasks that live, freeze and die together.

Killing must look like SIGKILL: from that moment nothing of the process has any effect, whatever
its ``finally`` blocks say. So a process is first marked dead -- every call that would leave it
then ends in :class:`asyncio.CancelledError` --, and only then are its tasks cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

_T = TypeVar("_T")

current_process: ContextVar[Process | None] = ContextVar("current_process", default=None)
"""The process that the running task belongs to; tasks inherit it from their makers."""


class Process:
    """One life of one simulated operating system process.

    Args:
        name: identity, never used again.
    """

    def __init__(self, name: str) -> None:
        """Begin alive and running."""
        self.name = name
        self.is_alive = True
        self.can_hang = True
        """Whether calls of its terminal may hang; those of a process that lost contact do not."""
        self.is_cut_off = False
        """Whether nothing that it says reaches anybody."""
        self._stops = 0
        self._held: list[Callable[[], object]] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._on_death: list[Callable[[], object]] = []
        self._steps_left = 0
        self._at_step: Callable[[], object] | None = None

    def __repr__(self) -> str:
        """Name it."""
        return f"Process({self.name})"

    @property
    def is_running(self) -> bool:
        """Whether it lives and is not stopped."""
        return self.is_alive and not self._stops

    def run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start a task of this process."""
        context = copy_context()
        context.run(current_process.set, self)
        return context.run(asyncio.get_running_loop().create_task, work)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take a task as one of this process: it dies with it."""
        if not self.is_alive:
            task.cancel()
            return
        self._tasks[task] = None
        task.add_done_callback(self._drop)

    def _drop(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def step(self, callback: Callable[..., object], *args: Any) -> None:
        """Run what the loop runs of it at one go."""
        callback(*args)
        if self._at_step is not None:
            self._steps_left -= 1
            if self._steps_left <= 0:
                due, self._at_step = self._at_step, None
                due()

    def after_steps(self, number: int, callback: Callable[[], object]) -> None:
        """Call back at the end of its ``number``-th step from now, the present one included.

        Only what was asked for last counts.
        """
        self._steps_left, self._at_step = number, callback

    def check(self) -> None:
        """Let a living process go on.

        Raises:
            asyncio.CancelledError: it is dead: nothing leaves it any more.
        """
        if not self.is_alive:
            raise asyncio.CancelledError

    def when_running(self, callback: Callable[[], object]) -> None:
        """Call back now, or once the process runs again; never if it is dead."""
        if not self.is_alive:
            return
        if self._stops:
            self._held.append(callback)
        else:
            callback()

    def stop(self) -> None:
        """Let time pass it by, as a process does whose interpreter lock is held."""
        self._stops += 1

    def go_on(self) -> None:
        """End one :meth:`stop`."""
        self._stops -= 1
        while self.is_running and self._held:
            self._held.pop(0)()

    def at_death(self, callback: Callable[[], object]) -> None:
        """Have others told when it dies; at once if it is dead."""
        if self.is_alive:
            self._on_death.append(callback)
        else:
            callback()

    def lose_contact(self) -> None:
        """Let others take it for dead, while it lives on."""
        self.can_hang = False
        self._tell()

    def kill(self) -> None:
        """End it: nothing leaves it from now on; harmless when done twice."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._held.clear()
        for task in list(self._tasks):
            task.cancel()
        self._tasks.clear()
        self._tell()

    def _tell(self) -> None:
        told, self._on_death = self._on_death, []
        for callback in told:
            callback()
