"""The venue's server: accounts behind a port on loopback, and a word for the operator."""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import Coroutine
from itertools import count
from typing import Any, Final

from engine.brokers.bridge import is_loopback
from engine.clock import Clock
from engine.simulated.served.accounts import VenuePlan
from engine.simulated.served.desk import AccountDesk, Reply
from engine.simulated.served.operating import operate
from engine.simulated.served.protocol import (
    LONGEST_FRAME,
    LONGEST_HELLO,
    Frame,
    FrameBuffer,
    ProtocolError,
    encode,
    pack_result,
    unpack_argument,
)

HELLO_WITHIN_S: Final = 10.0
"""A connection that has not said who it is by then is closed."""


class VenueServer:
    """The books of many accounts, served to clients that come and go.

    Everything runs in one event loop, so the accounts need no locks; only a terminal whose
    faults hang has a thread of its own.

    Args:
        plan: Prices, accounts, behaviour. The accounts' positions are opened here, once.
        token: What every connection has to say first.
        clock: Dates and delays requests.

    Raises:
        ValueError: The plan cannot be carried out.
    """

    def __init__(self, plan: VenuePlan, *, token: str, clock: Clock) -> None:
        """Open the accounts; :meth:`listen` serves them."""
        market = plan.market()
        self.token = token
        self.is_down = False
        self.numbers = count(1)
        self.connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._server: asyncio.Server | None = None
        self._failure: BaseException | None = None
        self.desks = {
            account.login: AccountDesk(
                account,
                market,
                plan.behaviour,
                clock=clock,
                pause=self._pause,
                spawn=self.spawn,
                stand_at_ms=plan.stand_at_ms,
            )
            for account in plan.accounts
        }
        self.clock = clock

    def _pause(self, seconds: float) -> None:
        """Wait in an account's thread, but not beyond the venue's own end."""
        self._stopping.wait(seconds)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task and keep it until its end; an error in one is told by the loop's handler."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            task.get_loop().call_exception_handler(
                {"message": "a request of the venue broke off", "exception": error, "task": task}
            )

    async def listen(self, host: str, port: int) -> int:
        """Serve on ``host``, which must be loopback, and return the port (``port`` 0: any).

        Raises:
            ValueError: ``host`` is not this machine.
            OSError: The port is taken.
        """
        if not is_loopback(host):
            raise ValueError(
                f"host={host!r} is not loopback; a venue serves this machine only: 127.0.0.1"
            )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def desk(self, login: object) -> AccountDesk:
        """Return an account's desk.

        Raises:
            ValueError: There is none; the message tells which there are.
        """
        known = self.desks.get(login) if isinstance(login, int) else None
        if known is None:
            some = ", ".join(str(number) for number in list(self.desks)[:5])
            raise ValueError(f"login={login!r} is no account of this venue; there are {some} …")
        return known

    def go_down(self) -> None:
        """Drop every account's connection and refuse new ones; executions go on."""
        self.is_down = True
        for connection in list(self.connections):
            if connection.desk is not None:
                connection.cut()

    def come_up(self) -> None:
        """Let clients in again."""
        self.is_down = False

    async def stop(self) -> None:
        """Close everything; what was not executed by now never will be."""
        self._stopping.set()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for desk in self.desks.values():
            desk.close()


class _Connection(asyncio.Protocol):
    """One client: an account's, or an operator's."""

    def __init__(self, server: VenueServer) -> None:
        self.number = 0
        self.client_pid = 0
        self.desk: AccountDesk | None = None
        self._server = server
        self._frames = FrameBuffer(LONGEST_HELLO)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_known = False
        self._has_left = False
        """Whether the client has said goodbye, or the venue itself has cut the line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.number = next(self._server.numbers)
        self._server.connections.add(self)
        self._deadline = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self.cut)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.desk is not None:
            self.desk.ledger.connection_closed(
                self.number, self._server.clock.wall_us(), is_death=not self._has_left
            )

    def data_received(self, data: bytes) -> None:
        self._frames.feed(data)
        try:
            while self._transport is not None:
                frame = self._frames.next_frame()
                if frame is None:
                    return
                self._take(frame)
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            self._refuse(f"{type(error).__name__}: {error}")

    def _take(self, frame: Frame) -> None:
        if not self._is_known:
            self._greet(frame)
        elif frame.get("bye"):
            self._has_left = True
        elif self.desk is not None:
            self._take_call(self.desk, frame)
        else:
            self._operate(frame)

    def _greet(self, frame: Frame) -> None:
        token = frame.get("token")
        if not isinstance(token, str) or not hmac.compare_digest(
            token.encode(), self._server.token.encode()
        ):
            self._refuse("the token is not this venue's")
            return
        login = frame.get("login")
        if login is not None:
            if self._server.is_down:
                self.cut()
                return
            try:
                self.desk = self._server.desk(login)
            except ValueError as error:
                self._refuse(str(error))
                return
            self.client_pid = int(frame.get("pid", 0))
        if self._deadline is not None:
            self._deadline.cancel()
        self._is_known = True
        self._frames.longest = LONGEST_FRAME
        self._write({"ok": True, **({} if self.desk is None else self.desk.place())})

    def _take_call(self, desk: AccountDesk, frame: Frame) -> None:
        call = frame["n"]
        args = [unpack_argument(value) for value in frame["a"]]
        kwargs = {name: unpack_argument(value) for name, value in frame["k"].items()}
        try:
            desk.take(self, call, frame["f"], args, kwargs)
        except ValueError as error:
            self._write({"n": call, "refused": str(error)})

    def _operate(self, frame: Frame) -> None:
        call = frame["n"]
        try:
            value = operate(self._server, frame["f"], frame["k"])
        except ValueError as error:
            self._write({"n": call, "refused": str(error)})
            return
        self._write({"n": call, "v": value})

    def reply(self, call: int, reply: Reply) -> bool:
        """Answer a call of the client; ``False`` when it is gone."""
        value, error = reply
        return self._write({"n": call, "v": pack_result(value), "e": error})

    def _write(self, frame: Frame) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(encode(frame))
        return True

    def _refuse(self, why: str) -> None:
        self._write({"refused": why})
        self._has_left = True
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close the connection without a word."""
        self._has_left = True
        if self._transport is not None:
            self._transport.abort()
