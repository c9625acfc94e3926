"""The adapter: a :class:`engine.brokers.port.Broker` over anything with MetaTrader 5's surface."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from engine.brokers.answers import LOST_CONNECTION, Meaning, classify_error
from engine.brokers.deadlines import CODE_EXCEPTION
from engine.brokers.mt5_orders import (
    INVALID_FILL,
    NEVER_SENT,
    OTHER_FILLING,
    cancel_request,
    check_tag,
    close_request,
    failed_answer,
    read_answer,
    whole_steps,
)
from engine.brokers.mt5_reading import (
    TradedSymbol,
    read_account,
    read_deals,
    read_pending_orders,
    read_position,
    read_quote,
    read_symbol,
)
from engine.brokers.port import (
    AccountState,
    Answer,
    CloseOrder,
    Deal,
    PendingOrder,
    Position,
    Quote,
    SymbolSpec,
)
from engine.brokers.redaction import Redaction
from engine.brokers.terminal_calls import InProcessCalls, TerminalCalls, TerminalReply
from engine.errors import BrokerError, BrokerUnavailable, SymbolUnavailable, WrongAccount
from engine.lease import LeaseLost, NoLease
from engine.outcomes import Verdict

if TYPE_CHECKING:
    from pydantic import SecretStr

_log = logging.getLogger(__name__)

_NOT_FOUND: Final = -4
_NO_ERROR: Final = (0, "no error given")
_ADVICE: Final = {
    -2: "check path, login, password and server",
    -6: "check login, password and server",
    -10003: "check path: the terminal's terminal64.exe, one installation per account",
    -10005: "is the terminal running and not waiting for a dialog? raise timeout_s if it is slow",
}


class MT5Broker:
    """One account in one MetaTrader 5 terminal.

    The connection is opened by :meth:`connect`, or by the first read. Once a call has shown
    that it is lost, the next read opens it again, once; a close or cancellation does so *before*
    it sends, and is never sent a second time by the adapter.
    """

    def __init__(
        self,
        terminal: TerminalCalls | object,
        *,
        login: int | None = None,
        password: SecretStr | None = None,
        server: str | None = None,
        path: str | None = None,
        timeout_s: float = 60.0,
        magic: int = 0,
        deviation: int = 20,
    ) -> None:
        """Prepare the adapter; nothing is called yet.

        Args:
            terminal: The ``MetaTrader5`` module, an object with its functions, or
                :class:`TerminalCalls` (recognised by being callable).
            login: Number of the account. ``None`` takes the one the terminal is logged in to,
                and holds it to that from then on.
            password: Its password; ``None`` leaves it to the terminal's own memory.
            server: Name of the trade server; ``None`` as with ``password``.
            path: The terminal's executable. Always give it on a machine with several.
            timeout_s: How long opening the connection may take, in seconds.
            magic: Number that marks this engine's orders, not negative.
            deviation: Largest slip in points on request and instant execution.
        """
        self._calls: TerminalCalls = terminal if callable(terminal) else InProcessCalls(terminal)
        self._login = login
        self._password = password
        self._redact = Redaction(None if password is None else password.get_secret_value())
        self._server = server
        self._path = path
        self._timeout_s = timeout_s
        self._magic = magic
        self._deviation = deviation
        self._check: Callable[[], None] = NoLease().check
        self._opened = False
        self._connected = False
        self._symbols: dict[str, TradedSymbol] = {}
        self._filling: dict[str, int] = {}

    def __repr__(self) -> str:
        """Name the account, never the password."""
        return f"MT5Broker(login={self._login}, server={self._server!r}, path={self._path!r})"

    async def connect(self) -> AccountState:
        """Open the connection anew, log in, and prove that it leads to the right account.

        Raises:
            BrokerUnavailable: The terminal could not be reached, or refused the login.
            WrongAccount: It is logged in to another account.
        """
        self._connected = False
        self._symbols.clear()
        reply = await self._initialize()
        if isinstance(reply, str):
            raise BrokerUnavailable(f"initialize() of {self!r} failed: {reply}")
        if not reply.value:
            code, text = reply.error or _NO_ERROR
            advice = _ADVICE.get(code, "is the terminal installed, running and online?")
            raise BrokerUnavailable(
                f"initialize() of {self!r} failed with last_error "
                f"({code}, {self._redact(text)!r}); {advice}"
            )
        self._connected = True
        return await self.account()

    async def _initialize(self) -> TerminalReply | str:
        """Return the reply, or what was said instead.

        The password is among the arguments: no error that quotes them, and no frame that holds
        them, may become part of what the caller raises.
        """
        arguments: dict[str, Any] = {"timeout": round(self._timeout_s * 1000)}
        if self._login is not None:
            arguments["login"] = self._login
        if self._password is not None:
            arguments["password"] = self._password.get_secret_value()
        if self._server is not None:
            arguments["server"] = self._server
        path = () if self._path is None else (self._path,)
        self._opened = True
        try:
            return await self._calls("initialize", *path, **arguments)
        except Exception as error:  # noqa: BLE001 - raised again by connect(), without the secret
            return self._redact.describe(error)

    async def disconnect(self) -> None:
        """Let go of the terminal; whatever goes wrong is logged, for nothing depends on it."""
        if not self._opened:
            return
        self._opened = self._connected = False
        try:
            await self._calls("shutdown")
        except Exception as error:  # noqa: BLE001 - letting go cannot fail
            _log.warning("shutdown() of %r failed: %s", self, self._redact.describe(error))

    async def account(self) -> AccountState:
        """Read the account, and check that it still is the right one.

        Raises:
            BrokerUnavailable: The terminal did not answer.
            WrongAccount: Another account answered; nothing it says may be used.
        """
        state = read_account(await self._read("account_info"))
        if self._login is None:
            self._login = state.login
        elif state.login != self._login:
            self._connected = False
            raise WrongAccount(
                f"the terminal is logged in to account {state.login} at {state.server}, not to "
                f"{self._login}; give every account a terminal of its own, by path"
            )
        return state

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        """Read all open positions, or the one with this ticket.

        Raises:
            BrokerUnavailable: The terminal did not answer.
        """
        if ticket is None:
            return tuple(map(read_position, await self._read("positions_get")))
        return tuple(map(read_position, await self._read("positions_get", ticket=ticket)))

    async def quote(self, symbol: str) -> Quote:
        """Read the latest quote.

        Raises:
            BrokerUnavailable: The terminal did not answer.
            SymbolUnavailable: The symbol is unknown, or has no price yet.
        """
        if symbol not in self._symbols:
            await self._traded(symbol)  # makes it visible: others have no ticks
        quote = read_quote(symbol, await self._read_of(symbol, "symbol_info_tick"))
        if not (quote.bid > 0.0 and quote.ask > 0.0):
            raise SymbolUnavailable(
                f"symbol {symbol!r} has no price: bid={quote.bid}, ask={quote.ask}"
            )
        return quote

    async def symbol(self, name: str) -> SymbolSpec:
        """Read how a symbol is traded; read once per connection.

        Raises:
            BrokerUnavailable: The terminal did not answer.
            SymbolUnavailable: The symbol is unknown.
        """
        known = self._symbols.get(name)
        return known.spec if known is not None else (await self._traded(name)).spec

    async def send_close(self, order: CloseOrder) -> Answer:
        """Send one request to close, and classify what comes back.

        The volume is rounded down to the symbol's step and cut at its largest volume. A refused
        filling (10030) is answered with MEND; the next close of the symbol uses the other one.

        Raises:
            ValueError: The tag is no comment that a terminal keeps.
        """
        check_tag(order.tag)
        try:
            if not self._connected:
                await self.connect()
            traded = self._symbols.get(order.symbol) or await self._traded(order.symbol)
            price = await self._price_of(order, traded)
        except BrokerError as error:
            return _not_sent(order, str(error))
        spec = traded.spec
        if not 0.0 < order.volume < math.inf:
            return _not_sent(order, f"volume={order.volume!r} must be a number of lots above 0")
        volume = whole_steps(order.volume, spec.volume_step, spec.volume_max)
        if volume <= 0.0:
            return _not_sent(
                order,
                f"{order.volume} lots of {order.symbol} are less than one step of "
                f"{spec.volume_step}",
            )
        request = close_request(
            order,
            volume=volume,
            price=price,
            filling=self._filling.get(order.symbol, traded.filling),
            deviation=self._deviation,
            magic=self._magic,
        )
        answer = await self._send(request, asked=order.volume)
        if answer.verdict is Verdict.MEND:
            self._symbols.pop(order.symbol, None)
            if answer.code == INVALID_FILL:
                self._filling[order.symbol] = OTHER_FILLING[request["type_filling"]]
        return answer

    async def cancel_order(self, ticket: int) -> Answer:
        """Cancel one pending order; an order that is gone already is MAYBE_MET."""
        request = cancel_request(ticket)
        if not self._connected:
            try:
                await self.connect()
            except BrokerError as error:
                meaning = Meaning(Verdict.NOT_SENT, f"no request was sent: {error}")
                return failed_answer(request, meaning, NEVER_SENT, str(error))
        return await self._send(request)

    async def deals_of(self, identifier: int) -> tuple[Deal, ...]:
        """Read every deal of one position, oldest first.

        Raises:
            BrokerUnavailable: The terminal did not answer.
        """
        return read_deals(await self._read("history_deals_get", position=identifier))

    async def deals_between(self, since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        """Read the account's trades from ``since_ms`` to ``until_ms``, both included.

        Raises:
            BrokerUnavailable: The terminal did not answer.
        """
        # The terminal counts these bounds in whole seconds of broker time, marked as UTC.
        since = datetime.fromtimestamp(since_ms // 1000, UTC)
        until = datetime.fromtimestamp(until_ms // 1000 + 1, UTC)
        deals = read_deals(await self._read("history_deals_get", since, until))
        return tuple(deal for deal in deals if since_ms <= deal.time_ms <= until_ms)

    async def pending_orders(self) -> tuple[PendingOrder, ...]:
        """Read the orders that wait for their price.

        Raises:
            BrokerUnavailable: The terminal did not answer.
        """
        return read_pending_orders(await self._read("orders_get"))

    def use_check(self, check: Callable[[], None]) -> None:
        """Ask ``check`` right before each request; LeaseLost is answered with NOT_SENT."""
        self._check = check

    async def _send(self, request: dict[str, Any], asked: float = 0.0) -> Answer:
        try:
            self._check()
        except LeaseLost as lost:
            return failed_answer(request, Meaning(Verdict.NOT_SENT, str(lost)), NEVER_SENT, "")
        try:
            reply = await self._calls("order_send", request)
            if reply.value is not None:
                return read_answer(request, reply.value, asked=asked)
        except Exception as error:  # noqa: BLE001 - whatever broke, the order may have left
            self._connected = False
            said = self._redact.describe(error)
            meaning = Meaning(Verdict.UNKNOWN, f"order_send() broke off, its fate is open: {said}")
            return failed_answer(request, meaning, CODE_EXCEPTION, said)
        code, text = reply.error or _NO_ERROR
        if code in LOST_CONNECTION:
            self._connected = False
        text = self._redact(text)
        meaning = classify_error(code, text, sent=True)
        return failed_answer(request, meaning, code, f"({code}, {text!r})")

    async def _price_of(self, order: CloseOrder, traded: TradedSymbol) -> float:
        if order.price is not None:
            return order.price
        try:
            return (await self.quote(order.symbol)).closing_price(order.side)
        except SymbolUnavailable:
            if traded.needs_price:
                raise
            return 0.0  # market execution takes its own price: no quote is no reason not to close

    async def _traded(self, name: str) -> TradedSymbol:
        info = await self._read_of(name, "symbol_info")
        traded = read_symbol(info)
        if not info.visible:
            reply = await self._call("symbol_select", name, True)
            if not reply.value:
                raise self._unanswered(f"symbol_select({name!r}, True)", reply.error)
        self._symbols[name] = traded
        return traded

    async def _read_of(self, symbol: str, function: str) -> Any:
        reply = await self._call(function, symbol)
        if reply.value is None:
            error = self._unanswered(f"{function}({symbol!r})", reply.error)
            if reply.error is not None and reply.error[0] == _NOT_FOUND:
                raise SymbolUnavailable(f"the terminal does not know symbol {symbol!r}: {error}")
            raise error
        return reply.value

    async def _read(self, function: str, *args: Any, **kwargs: Any) -> Any:
        reply = await self._call(function, *args, **kwargs)
        if reply.value is None:
            raise self._unanswered(f"{function}()", reply.error)
        return reply.value

    async def _call(self, function: str, *args: Any, **kwargs: Any) -> TerminalReply:
        if not self._connected:
            await self.connect()
        try:
            return await self._calls(function, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again below
            self._connected = False
            said = self._redact.describe(error)
            origin = error if self._redact.is_clean(error) else None
        # Raised out here: inside, the error would become the context, clean or not.
        raise BrokerUnavailable(f"{function}() failed: {said}") from origin

    def _unanswered(self, call: str, error: tuple[int, str] | None) -> BrokerUnavailable:
        code, text = error or _NO_ERROR
        if code in LOST_CONNECTION:
            self._connected = False
        said = self._redact(text)
        return BrokerUnavailable(f"{call} gave no answer; last_error is ({code}, {said!r})")


def _not_sent(order: CloseOrder, why: str) -> Answer:
    return Answer(
        verdict=Verdict.NOT_SENT,
        code=NEVER_SENT,
        text=f"no request was sent: {why}",
        details={
            "request.position": order.ticket,
            "request.symbol": order.symbol,
            "request.volume": order.volume,
            "request.comment": order.tag,
        },
    )
