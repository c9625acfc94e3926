"""The gate that every call of the terminal passes: connection, errors, faults, waiting."""

from __future__ import annotations

from collections.abc import Callable

from engine.simulated.api_table import Struct, Surface
from engine.simulated.fault_injection import FaultInjector
from engine.simulated.faults import Fault, FaultKind
from engine.simulated.numbers import ERROR_TEXTS
from engine.simulated.requests import InvalidArgument
from engine.simulated.venue import Venue

SUCCESS = (1, ERROR_TEXTS[1])
_INVALID_PARAMS = -2
_NOT_FOUND = -4
_INTERNAL_FAIL = -10000
_RECEIVE_FAILED = -10002
NOT_CONNECTED = -10004
_DISCONNECTING = (_RECEIVE_FAILED, NOT_CONNECTED)

Structs = tuple[Struct, ...]


class CallGate(Surface):
    """State of one terminal's connection; base of the groups of calls.

    ``None`` as a result means an error that ``last_error()`` tells; an empty tuple, that there is
    nothing.
    """

    __slots__ = (
        "_account_cache",
        "_connected",
        "_error",
        "_hidden_symbols",
        "_injector",
        "_latency_ms",
        "_pause",
        "_requests",
        "_venue",
    )

    def __init__(
        self,
        venue: Venue,
        latency_ms: float,
        pause: Callable[[float], None] | None,
        injector: FaultInjector | None,
    ) -> None:
        """Join the account with its faults."""
        self._venue = venue
        self._latency_ms = latency_ms
        self._pause = pause
        self._injector = injector
        self._connected = False
        self._requests = 0
        self._error: tuple[int, str] = SUCCESS
        self._account_cache: tuple[int, int, Struct] | None = None
        self._hidden_symbols: set[str] | None = None

    def last_error(self) -> tuple[int, str]:
        """Return code and text of the last call's error, ``(1, 'Success')`` if it had none."""
        return self._error

    def _fail(self, code: int, text: str | None = None) -> None:
        self._error = (code, ERROR_TEXTS[code] if text is None else text)
        if code in _DISCONNECTING:
            self._connected = False

    def _fail_argument(self, error: InvalidArgument) -> None:
        self._fail(_INVALID_PARAMS, f'Invalid "{error}" argument')

    def _wait(self, seconds: float) -> None:
        if seconds and self._pause is not None:
            self._pause(seconds)

    def _enter(self, call: str, ticket: int | None = None, symbol: str | None = None) -> bool:
        """Begin a call: reset the error, let faults happen; ``False`` when it has failed."""
        self._error = SUCCESS
        if not self._connected:
            self._fail(NOT_CONNECTED)
            return False
        if self._injector is None:
            return True
        decisive, companions = self._injector.fire(call, ticket, symbol, self._venue.cursor.time_ms)
        for fault in companions:
            self._wait(fault.seconds)
        if decisive is not None:
            self._wait(decisive.seconds)
            self._break_off(decisive)
        return decisive is None

    def _break_off(self, fault: Fault) -> None:
        """Fail a call as a fault says."""
        if fault.kind is FaultKind.RESTART:
            self._fail(NOT_CONNECTED)
        else:
            self._fail(_INTERNAL_FAIL if fault.code is None else fault.code)

    def _enter_read(self, call: str, ticket: int | None = None, symbol: str | None = None) -> bool:
        """Begin a read of positions or deals; such reads are counted."""
        entered = self._enter(call, ticket, symbol)
        if entered and self._injector is not None:
            self._venue.count_read()
        return entered

    def _slot(self, symbol: object) -> int | None:
        slot = self._venue.market.slot(symbol) if isinstance(symbol, str) else None
        if slot is None:
            if isinstance(symbol, str):
                self._fail(_NOT_FOUND)
            else:
                self._fail_argument(InvalidArgument("symbol"))
        return slot
