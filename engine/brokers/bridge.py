"""The bridge: a terminal in Wine or on Windows, reached through the ``mt5linux`` package.

``mt5linux`` is a client of an rpyc *classic* server, which evaluates whatever text it is sent.
A struct that comes back is a proxy, and each field read from it would be a round trip of its
own; rpyc's copies by value are slow. So a call, its ``last_error()`` and the result as JSON are
asked for in one: by a function that is defined on the server once per connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module, metadata
from types import SimpleNamespace
from typing import Any, Final

from engine.brokers.terminal_calls import TerminalReply
from engine.errors import BrokerUnavailable

_log = logging.getLogger(__name__)

_GOODBYE_S: Final = 0.2

_SERVER_SIDE: Final = """
import json

def _plain(value):
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value

def _call(function, args, kwargs):
    value = getattr(mt5, function)(*args, **kwargs)
    error = mt5.last_error() if value is None or value is False else None
    return json.dumps([_plain(value), error])
"""


class BridgeCalls:
    """Calls a terminal behind an ``mt5linux`` server.

    A call waits in a thread of its own, one at a time, so the event loop goes on meanwhile.
    A call that breaks off or runs into the time-out raises, its fate unknown, and the
    connection is dropped: the next call opens another.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        timeout_s: float = 60.0,
        client: Callable[..., Any] | None = None,
    ) -> None:
        """Remember where the server is; nothing is opened yet.

        Args:
            host: Name or address of the server. A warning is logged unless it is loopback.
            port: Its port.
            timeout_s: How long one call may take, in seconds.
            client: Makes the connection, ``client(host, port, timeout)``; by default the class
                ``mt5linux.MetaTrader5``, imported at the first call.
        """
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._client = client
        self._terminal: Any = None
        self._thread: ThreadPoolExecutor | None = None
        if not is_loopback(host):
            _log.warning(
                "The bridge at %s:%s is not on this machine. Whoever reaches that port runs any "
                "code there, and passwords and orders travel unencrypted and unauthenticated: "
                "let the server listen on loopback only, and reach it through an SSH tunnel or "
                "a VPN.",
                host,
                port,
            )

    async def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> TerminalReply:
        """Call ``function`` of the terminal, in one round trip.

        ``shutdown`` lets go of the connection and the thread as well; a later call opens both
        again.
        """
        if function == "shutdown":
            return await self._shut_down()
        answer = await self._in_thread(f"_call({function!r}, {args!r}, {kwargs!r})")
        value, error = json.loads(answer, object_hook=_struct)
        return TerminalReply(value, (error[0], error[1]) if error is not None else None)

    async def _shut_down(self) -> TerminalReply:
        try:
            if self._terminal is not None:
                await self._in_thread("_call('shutdown', (), {})")
        finally:
            if self._thread is not None:
                # Taken away here: the next call, on another thread, must not meet it again.
                terminal, self._terminal = self._terminal, None
                self._thread.submit(_close, terminal)
                self._thread.shutdown(wait=False)
                self._thread = None
        return TerminalReply(None)

    async def _in_thread(self, text: str) -> str:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mt5-bridge")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._evaluate, text)

    def _evaluate(self, text: str) -> str:
        try:
            if self._terminal is None:
                self._terminal = self._open()
            answer: str = self._terminal.eval(text)
        except BaseException:
            terminal, self._terminal = self._terminal, None
            _close(terminal)
            raise
        return answer

    def _open(self) -> Any:
        terminal = (self._client or _mt5linux)(self._host, self._port, self._timeout_s)
        terminal.execute(_SERVER_SIDE)
        return terminal


def _close(terminal: Any) -> None:
    """Close a client's connection; harmless if there is none or it is broken.

    mt5linux offers no way to, and collecting the client would leave the socket open until the
    cycle collector runs.
    """
    connection = getattr(terminal, "_MetaTrader5__conn", None)
    if connection is not None:
        # Closing waits for the server's reply, and the server may be what hangs.
        connection._config["sync_request_timeout"] = _GOODBYE_S
        with suppress(OSError, EOFError):
            connection.close()


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _mt5linux(host: str, port: int, timeout_s: float) -> Any:
    wanted = "pip install 'risk-engine[mt5linux]'"
    try:
        version = metadata.version("mt5linux")
    except metadata.PackageNotFoundError as error:
        raise BrokerUnavailable(
            f"terminal='mt5linux' needs the package mt5linux; run: {wanted}"
        ) from error
    if not version.startswith("1.0."):
        raise BrokerUnavailable(
            f"mt5linux {version} cannot be used: 1.0 has the client that is needed, and from 1.1 "
            f"on its client starts Docker containers by itself; run: {wanted}"
        )
    try:
        # Asked first, because rpyc leaves the socket of a refused connection open.
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        raise ConnectionError(
            f"no mt5linux server answers at {host}:{port} ({error}); is it running there? "
            "docs/mt5.md says how to start it"
        ) from error
    return import_module("mt5linux").MetaTrader5(host, port, timeout_s)


def _struct(fields: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**fields)
