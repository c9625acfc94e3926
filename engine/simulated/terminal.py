"""The API's face: one object with the whole surface of the ``MetaTrader5`` module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.simulated import conveniences
from engine.simulated.account import AccountSettings
from engine.simulated.account_calls import AccountCalls
from engine.simulated.api_table import Struct
from engine.simulated.book import AccountBook
from engine.simulated.fault_injection import FaultInjector
from engine.simulated.faults import FaultPlan
from engine.simulated.gate import SUCCESS
from engine.simulated.market import Market
from engine.simulated.requests import InvalidArgument
from engine.simulated.sessions import opens_in_ms
from engine.simulated.symbol_calls import SymbolCalls
from engine.simulated.trading_calls import TradingCalls
from engine.simulated.valuation import MarginState
from engine.simulated.venue import Venue

_AUTH_FAILED = -6


class SimulatedTerminal(AccountCalls, SymbolCalls, TradingCalls):
    """A MetaTrader 5 terminal with one account, over recorded or generated prices.

    It has every constant, function and struct of the ``MetaTrader5`` package. Market time stands
    still until :meth:`advance` or :meth:`move_to` moves it, or an order travels: an order sent at
    market time *t* arrives at *t* + latency, after everything that the ticks up to then bring
    about, and fills at the symbol's first tick at or after that moment (without latency: at the
    current tick; after the last tick: at that one). Results depend on prices, seed and requests
    alone. Not for use by several threads at once.

    Args:
        market: The prices; share one market among terminals.
        account: What the broker lays down.
        seed: Of this terminal's chances: with the plan's seed it decides which faults fire.
        latency_ms: Milliseconds of market time from sending an order to its arrival; a broken
            one is rounded up.
        pause: Called with the seconds of wall time that a call takes (latency, hang); ``None``
            waits for nothing.
        faults: What goes wrong.
        wall_ms: Wall time in milliseconds, for faults that hide a fact for a wall time.

    Raises:
        ValueError: The latency is negative or not finite; a symbol of the market cannot be
            valued in the account's currency; a fault needs ``wall_ms`` or ``pause``.
    """

    __slots__ = ()

    def __init__(
        self,
        market: Market,
        account: AccountSettings | None = None,
        *,
        seed: int = 0,
        latency_ms: float = 0.0,
        pause: Callable[[float], None] | None = None,
        faults: FaultPlan | None = None,
        wall_ms: Callable[[], float] | None = None,
    ) -> None:
        """Open the account; ``initialize()`` connects to it."""
        if not (math.isfinite(latency_ms) and latency_ms >= 0):
            raise ValueError(f"latency_ms={latency_ms!r} must be a finite number, 0 or above")
        plan = faults if faults is not None and faults.faults else None
        if pause is None:
            _refuse_waiting(plan)
        super().__init__(
            Venue(market, AccountSettings() if account is None else account),
            latency_ms,
            pause,
            None if plan is None else FaultInjector(plan, seed, wall_ms),
        )

    # --- simulation only: no function of the package has these names -----------------------

    @property
    def market(self) -> Market:
        """The prices that the terminal walks."""
        return self._venue.market

    @property
    def book(self) -> AccountBook:
        """The broker's own book, for checks; no fault hides anything in it."""
        return self._venue.book

    @property
    def margin_state(self) -> MarginState:
        """Where the account stands against the broker's levels now."""
        return self._venue.standing().state(self._venue.account)

    @property
    def time_ms(self) -> int:
        """Market time: milliseconds since 1970 as the prices' source counts them."""
        return self._venue.cursor.time_ms

    def next_tick_ms(self) -> int | None:
        """Return the time of the next tick of any symbol, ``None`` at the end."""
        following = self._venue.cursor.next_tick()
        return None if following is None else following[0]

    def opens_in_ms(self, symbol: str) -> int | None:
        """Return how much market time passes until ``symbol`` can be traded.

        0 for now, ``None`` for never and for a symbol that the market does not have.
        """
        slot = self.market.slot(symbol)
        if slot is None:
            return None
        return opens_in_ms(self.market.specs[slot].sessions, self.time_ms)

    def advance(self) -> bool:
        """Go to the next tick of any symbol; ``False``, and nothing moves, at the end."""
        return self._venue.advance()

    def move_to(self, time_ms: int) -> None:
        """Go to a later moment of market time; every tick on the way takes effect.

        Raises:
            ValueError: ``time_ms`` is in the past.
        """
        self._venue.move_to(time_ms)

    @contextmanager
    def without_latency(self) -> Iterator[None]:
        """Let orders arrive at once inside a ``with`` block, to arm a test."""
        latency, self._latency_ms = self._latency_ms, 0.0
        try:
            yield
        finally:
            self._latency_ms = latency

    @contextmanager
    def without_faults(self) -> Iterator[None]:
        """Let nothing go wrong, and no fault count, inside a ``with`` block, to arm a test."""
        injector, self._injector = self._injector, None
        try:
            yield
        finally:
            self._injector = injector

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
        """Connect to the terminal, with another account's credentials if they are given."""
        self._connected = True
        self._connected = (
            self._enter("initialize")
            and self._are_typed(path=path, password=password, server=server)
            and self._are_counts(login=login, timeout=timeout)
            and (login is None or self._authorise(login, password, server))
        )
        return self._connected

    def login(
        self,
        login: int,
        password: str | None = None,
        server: str | None = None,
        timeout: int = 60_000,
    ) -> bool:
        """Log in; ``False`` and -6 if login, password or server are not the account's."""
        return (
            self._enter("login")
            and self._are_counts(login=login, timeout=timeout)
            and self._are_typed(password=password, server=server)
            and self._authorise(login, password, server)
        )

    def _are_typed(self, **texts: object) -> bool:
        """Whether every argument that is given is a string; if not, the error names it."""
        for name, value in texts.items():
            if value is not None and not isinstance(value, str):
                self._fail_argument(InvalidArgument(name))
                return False
        return True

    def _are_counts(self, **numbers: object) -> bool:
        """Whether every argument that is given is an integer from 0; if not, the error names it."""
        for name, value in numbers.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                self._fail_argument(InvalidArgument(name))
                return False
        return True

    def _authorise(self, login: int, password: str | None, server: str | None) -> bool:
        account = self._venue.account
        matches = (
            login == account.login
            and server in (None, account.server)
            and (account.password is None or password in (None, account.password))
        )
        if not matches:
            self._fail(_AUTH_FAILED)
        return matches

    def shutdown(self) -> None:
        """Disconnect; further calls fail with -10004 until ``initialize()``."""
        self._error = SUCCESS
        self._connected = False

    # --- conveniences of the package's Python part ------------------------------------------

    def Buy(  # noqa: N802 - the package's own name
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Struct | None:
        """Buy at the market, or at ``price``; requotes are tried again at the fresh price."""
        return conveniences.trade(self, self.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)

    def Sell(  # noqa: N802 - the package's own name
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Struct | None:
        """Sell at the market, or at ``price``; requotes are tried again at the fresh price."""
        return conveniences.trade(
            self, self.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket
        )

    def Close(  # noqa: N802 - the package's own name
        self, symbol: str, *, comment: str | None = None, ticket: int | None = None
    ) -> bool | str | None:
        """Close the position ``ticket``, or all of ``symbol``.

        Returns:
            ``True`` when all were closed, ``"Partially"`` when some were, ``False`` when none
            was (or none was there), ``None`` after an error that ``last_error()`` tells.
        """
        return conveniences.close(self, symbol, comment=comment, ticket=ticket)


def _refuse_waiting(plan: FaultPlan | None) -> None:
    for fault in () if plan is None else plan.faults:
        if fault.seconds:
            raise ValueError(
                f"seconds={fault.seconds!r} of {fault.kind} is wall time, and nothing would wait "
                f"it: give the terminal pause=, such as time.sleep"
            )
