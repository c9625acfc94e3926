"""The client's side: an object with the MetaTrader5 surface whose account is at a venue process."""

from __future__ import annotations

import os
from typing import Any, Final

from engine.simulated.api_table import Struct, Surface
from engine.simulated.numbers import ERROR_TEXTS
from engine.simulated.requests import InvalidArgument, Request, parse_request
from engine.simulated.served.exchange import SendFailed, VenueConnection, VenueRefused
from engine.simulated.served.protocol import LOOPBACK, pack_argument, unpack_result

_SUCCESS: Final = (1, ERROR_TEXTS[1])
_INVALID_PARAMS: Final = -2
_SEND_FAILED: Final = -10001
_RECEIVE_FAILED: Final = -10002
_NO_VENUE: Final = -10003
_NOT_CONNECTED: Final = -10004
_TIMED_OUT: Final = -10005

Structs = tuple[Struct, ...]


class ServedTerminal(Surface):
    """A terminal whose account is held by a venue process.

    It has the functions that :class:`engine.brokers.mt5.MT5Broker` calls, and the package's
    constants. Calls block the whole thread, as the binding's do. A connection that breaks looks
    as a broken pipe to a terminal does: the call under way gives ``None`` with -10001 (sending
    failed), -10002 (nothing came back) or -10005 (no answer in time), every later one -10004
    until ``initialize()``; none of them says what became of an order.

    Args:
        host: Where the venue listens.
        port: Its port.
        token: What it wants to hear first.
        login: The account.
        timeout_s: How long a call may go without an answer, in seconds; the binding itself waits
            for ever.
    """

    __slots__ = ("_connection", "_error", "_host", "_login", "_port", "_timeout_s", "_token", "now")

    def __init__(
        self, *, port: int, token: str, login: int, host: str = LOOPBACK, timeout_s: float = 60.0
    ) -> None:
        """Remember where the venue is; ``initialize()`` connects."""
        self._host = host
        self._port = port
        self._token = token
        self._login = login
        self._timeout_s = timeout_s
        self._connection: VenueConnection | None = None
        self._error: tuple[int, str] = _SUCCESS
        self.now: dict[str, int | None] = {}
        """``time_ms`` and ``next_ms``: market time of the account and of its next tick, as last
        heard."""

    def __repr__(self) -> str:
        """Name the account and the venue, never the token."""
        return f"ServedTerminal(login={self._login}, host={self._host!r}, port={self._port})"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that has not shown itself broken."""
        return self._connection is not None

    def last_error(self) -> tuple[int, str]:
        """Return code and text of the last call's error."""
        return self._error

    def _fail(self, code: int, why: object = "") -> None:
        text = ERROR_TEXTS[code]
        self._error = (code, f"{text}: {why}" if why else text)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        return self._ask(function, args, kwargs, self._timeout_s)

    def _ask(
        self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float
    ) -> Any:
        self._error = _SUCCESS
        connection = self._connection
        if connection is None:
            self._fail(_NOT_CONNECTED)
            return None
        try:
            answer = connection.ask(
                function,
                [pack_argument(value) for value in args],
                {name: pack_argument(value) for name, value in kwargs.items()},
                timeout_s=timeout_s,
            )
        except TypeError as error:  # JSON cannot hold an argument: nothing was sent
            self._fail(_INVALID_PARAMS, error)
            return None
        except VenueRefused as error:
            self._fail(_INVALID_PARAMS, error)
            return None
        except SendFailed as error:
            self._fail(_SEND_FAILED, error)
        except TimeoutError as error:
            self._fail(_TIMED_OUT, error)
        except OSError as error:
            self._fail(_RECEIVE_FAILED, error)
        else:
            if answer.get("e") is not None:
                code, text = answer["e"]
                self._error = (code, text)
            return unpack_result(answer["v"])
        self._drop()
        return None

    # --- connection -----------------------------------------------------------------------

    def initialize(
        self,
        path: str | None = None,
        *,
        login: int | None = None,
        password: str | None = None,
        server: str | None = None,
        timeout: int = 60_000,
        portable: bool = False,
    ) -> bool:
        """Connect to the venue, anew if there is a connection, and to the account there.

        Returns:
            ``False`` if that fails: -10003 (no venue), -10005 (no answer within ``timeout``
            milliseconds), -6 (not this account's credentials).
        """
        self._drop()
        self._error = _SUCCESS
        within_s = min(timeout / 1000, self._timeout_s)
        hello = {"token": self._token, "login": self._login, "pid": os.getpid()}
        try:
            self._connection = VenueConnection(self._host, self._port, hello, timeout_s=within_s)
        except TimeoutError as error:
            self._fail(_TIMED_OUT, error)
            return False
        except (OSError, VenueRefused) as error:
            self._fail(_NO_VENUE, error)
            return False
        welcome = self._connection.welcome
        self.now = {"time_ms": welcome["time_ms"], "next_ms": welcome["next_ms"]}
        given = {"login": login, "password": password, "server": server}
        arguments = {name: value for name, value in given.items() if value is not None}
        if self._ask("initialize", (), {"timeout": timeout, **arguments}, within_s) is True:
            return True
        self._drop()
        return False

    def shutdown(self) -> None:
        """Disconnect; the account stays as it is."""
        self._error = _SUCCESS
        self._drop()

    def advance(self) -> bool:
        """Have the account's market move to its next tick; ``False`` when it was not heard."""
        place = self._call("advance")
        if place is None:
            return False
        self.now = place
        return True

    # --- the package's functions ------------------------------------------------------------

    def version(self) -> tuple[int, int, str] | None:
        """Return the terminal's version."""
        found: tuple[int, int, str] | None = self._call("version")
        return found

    def terminal_info(self) -> Struct | None:
        """Return the terminal's state."""
        return self._struct("terminal_info")

    def account_info(self) -> Struct | None:
        """Return the account."""
        return self._struct("account_info")

    def symbol_info(self, symbol: str) -> Struct | None:
        """Return a symbol's specification."""
        return self._struct("symbol_info", symbol)

    def symbol_info_tick(self, symbol: str) -> Struct | None:
        """Return a symbol's current tick."""
        return self._struct("symbol_info_tick", symbol)

    def symbol_select(self, symbol: str, enable: bool = True) -> bool:
        """Show or hide a symbol."""
        return self._call("symbol_select", symbol, enable) is True

    def positions_total(self) -> int | None:
        """Count the open positions."""
        return self._count("positions_total")

    def positions_get(self, **keywords: Any) -> Structs | None:
        """Return open positions: by ``symbol=``, ``group=`` or ``ticket=``, else all of them."""
        return self._structs("positions_get", **keywords)

    def orders_total(self) -> int | None:
        """Count the pending orders."""
        return self._count("orders_total")

    def orders_get(self, **keywords: Any) -> Structs | None:
        """Return pending orders; arguments as of :meth:`positions_get`."""
        return self._structs("orders_get", **keywords)

    def history_deals_get(self, *dates: object, **keywords: Any) -> Structs | None:
        """Return deals: of a span (with ``group=``), of an order, or of a position."""
        return self._structs("history_deals_get", *dates, **keywords)

    def history_orders_get(self, *dates: object, **keywords: Any) -> Structs | None:
        """Return finished orders; arguments as of :meth:`history_deals_get`."""
        return self._structs("history_orders_get", *dates, **keywords)

    def order_check(self, request: object = None) -> Struct | None:
        """Judge a request without sending it."""
        return self._trade("order_check", request)

    def order_send(self, request: object = None) -> Struct | None:
        """Send a trade request; ``None``: nothing is known beyond ``last_error()``."""
        return self._trade("order_send", request)

    def _trade(self, function: str, request: object) -> Struct | None:
        try:
            parse_request(request)
        except InvalidArgument as error:
            # Refused here, as the binding does, before anything leaves the process.
            self._error = (_INVALID_PARAMS, f'Invalid "{error}" argument')
            return None
        assert isinstance(request, dict)
        known = {name: value for name, value in request.items() if name in Request._fields}
        return self._struct(function, known)

    def _struct(self, function: str, *args: Any) -> Struct | None:
        value: Struct | None = self._call(function, *args)
        return value

    def _structs(self, function: str, *args: Any, **kwargs: Any) -> Structs | None:
        value: Structs | None = self._call(function, *args, **kwargs)
        return value

    def _count(self, function: str) -> int | None:
        value: int | None = self._call(function)
        return value
