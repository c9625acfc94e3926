"""A connection to PostgreSQL that does not wait for ever, and has better things to do than wait."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import psycopg

from audit.store import Meanwhile

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""The cheapest one to ask: it is for one socket."""
_CONSIDERED_S = 0.1
"""How often psycopg comes back to us while it waits, by default."""


class PostgresConnection(psycopg.Connection[Any]):
    """What the store talks through. It is used as any other connection of psycopg's."""

    _give_up_at: float | None = None
    _meanwhile: Meanwhile | None = None
    _selector: selectors.BaseSelector | None = None

    @cached_property
    def inserting(self) -> psycopg.Cursor[Any]:
        """A cursor for one statement that is sent again and again: it keeps what it learnt."""
        return self.cursor()

    def give_up_after(self, seconds: float | None) -> None:
        """Cut the connection off if it still waits for the server after some seconds.

        The server ends a long statement itself. This is for one that says nothing any more.

        Args:
            seconds: how many from now on; ``None`` for no end.
        """
        self._give_up_at = None if seconds is None else time.monotonic() + seconds

    @contextmanager
    def bounded(self, seconds: float, meanwhile: Meanwhile | None = None) -> Iterator[None]:
        """Cut the connection off if the block still waits for the server after some seconds.

        Args:
            seconds: how many.
            meanwhile: to be done whenever the block would wait for the server.
        """
        self.give_up_after(seconds)
        self._meanwhile = meanwhile
        try:
            yield
        finally:
            self._give_up_at = self._meanwhile = None

    def wait(
        self,
        gen: Generator[Any, Any, _Result],
        interval: float = _CONSIDERED_S,
        *arguments: Any,
        **options: Any,
    ) -> _Result:
        """Wait as psycopg does. All that it does with the server passes through here.

        Args:
            gen: psycopg's protocol: it says what it waits for, and is sent what is ready.
            interval: seconds after which it is sent 0 if nothing is.
            *arguments: as psycopg takes them.
            **options: as psycopg takes them.
        """
        try:
            wanted = next(gen)
            # A server that keeps up is never waited for.
            while ready := self._work(wanted):
                wanted = gen.send(ready)
        except StopIteration as end:
            result: _Result = end.value
            return result
        return super().wait(self._attended(gen, wanted), interval, *arguments, **options)

    def _attended(
        self, gen: Generator[Any, Any, _Result], wanted: int
    ) -> Generator[Any, Any, _Result]:
        """Stand between the protocol, which waits for something, and psycopg's waiting."""
        try:
            while True:
                ready = yield wanted
                if not ready and self._is_overdue:
                    self._cut_off()
                wanted = gen.send(ready)
                while ready := self._work(wanted):
                    wanted = gen.send(ready)
        except StopIteration as end:
            result: _Result = end.value
            return result

    def _work(self, wanted: int) -> int:
        """Do something else until the server is ready, or overdue, or all else is done.

        Returns:
            What of it is ready; 0 if nothing is, or there is nothing else to do at all.
        """
        if self._meanwhile is None:
            return 0
        while not (ready := self._ready(wanted)) and not self._is_overdue and self._meanwhile():
            pass
        return ready

    def _ready(self, wanted: int) -> int:
        """Say what of it is ready now."""
        # psycopg names what it waits for by the same bits as a selector does.
        if self._selector is None:
            self._selector = _Selector()
            self._selector.register(self.fileno(), selectors.EVENT_READ | selectors.EVENT_WRITE)
        return sum(ready for _, ready in self._selector.select(0)) & wanted

    @property
    def _is_overdue(self) -> bool:
        return self._give_up_at is not None and time.monotonic() > self._give_up_at

    def _cut_off(self) -> None:
        """End the connection at this end: psycopg then reads that it is lost."""
        try:
            with socket.socket(fileno=self.fileno()) as line:
                try:
                    line.shutdown(socket.SHUT_RDWR)
                finally:
                    line.detach()  # libpq closes it
        except (OSError, psycopg.Error) as error:
            logger.debug("a connection was closed before it was cut off: %s", type(error).__name__)
