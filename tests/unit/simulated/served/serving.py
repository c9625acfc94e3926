"""A venue's server in this process, in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from engine.clock import SystemClock
from engine.simulated.served import ServedTerminal, VenuePlan
from engine.simulated.served.protocol import LOOPBACK
from engine.simulated.served.server import VenueServer
from tests.unit.simulated.served.arranging import LOGIN

_T = TypeVar("_T")

TOKEN = "sesame"
_SOON_S = 30.0


class Serving:
    """A server under way, and how a test waits for what happens in it."""

    def __init__(self, server: VenueServer, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.port = port
        self._loop = loop

    def terminal(
        self, login: int = LOGIN, *, token: str = TOKEN, timeout_s: float = _SOON_S
    ) -> ServedTerminal:
        """A client of an account, not connected yet."""
        return ServedTerminal(port=self.port, token=token, login=login, timeout_s=timeout_s)

    def wait_until(self, is_met: Callable[[VenueServer], bool]) -> None:
        """Wait until the server is in a state; fail when it takes too long."""
        end = monotonic() + _SOON_S
        between = threading.Event()
        while not self.ask(is_met):
            assert monotonic() < end, f"not met within {_SOON_S} s"
            between.wait(0.001)

    def ask(self, question: Callable[[VenueServer], _T]) -> _T:
        """Ask the server in its own thread."""

        async def answer() -> _T:
            return question(self.server)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(_SOON_S)


@contextmanager
def serving(plan: VenuePlan) -> Iterator[Serving]:
    """Serve a plan on a free port until the block's end."""
    ready: list[Serving] = []
    failed: list[BaseException] = []
    is_ready = threading.Event()
    end: list[asyncio.Event] = []

    async def serve() -> None:
        server = VenueServer(plan, token=TOKEN, clock=SystemClock())
        port = await server.listen(LOOPBACK, 0)
        end.append(asyncio.Event())
        ready.append(Serving(server, port, asyncio.get_running_loop()))
        is_ready.set()
        await end[0].wait()
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
            is_ready.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_ready.wait(_SOON_S)
    if failed:
        raise failed[0]
    try:
        yield ready[0]
    finally:
        ready[0].ask(lambda _: end[0].set())
        thread.join(_SOON_S)
        assert not thread.is_alive()
