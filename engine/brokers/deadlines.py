"""A deadline for every call to a broker.

It ends waits of brokers that await (bridges over sockets, HTTP). A binding that blocks the whole
process, as MetaTrader 5's does, can only be ended from another process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from engine.brokers.port import (
    AccountState,
    Answer,
    Broker,
    ChecksBeforeSending,
    CloseOrder,
    Deal,
    PendingOrder,
    Position,
    Quote,
    SessionTimes,
    SymbolSpec,
)
from engine.errors import BrokerError, BrokerUnavailable, RiskEngineError
from engine.outcomes import Verdict

_T = TypeVar("_T")

CODE_EXCEPTION = -1_000_001
"""Code of an :class:`Answer` that stands for an exception or a deadline of ours."""


async def within(seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
    """Await ``work`` for at most ``seconds``.

    A terminal's adapter answers without ever waiting for the event loop, and is called four
    times a close: work that finishes in its first step pays for no timer.

    Raises:
        TimeoutError: it took longer.
    """
    try:
        awaited = work.send(None)
    except StopIteration as finished:
        value: _T = finished.value
        return value
    async with asyncio.timeout(seconds):
        return await _Begun(work, awaited)


class _Begun(Generic[_T]):
    """A coroutine that has taken its first step, and what it waits for."""

    def __init__(self, work: Coroutine[Any, Any, _T], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, _T]:
        awaited = self._awaited
        while True:
            trouble: BaseException | None = None
            sent: Any = None
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001  # handed on to the work, not handled
                trouble = error
            try:
                awaited = self._work.send(sent) if trouble is None else self._work.throw(trouble)
            except StopIteration as finished:
                value: _T = finished.value
                return value


class DeadlineBroker:
    """The same broker with every wait bounded.

    A read past its deadline raises :class:`BrokerUnavailable`; a request past its deadline, or
    one that raised, is answered UNKNOWN: neither is ever proof of rejection.
    """

    def __init__(self, broker: Broker, *, read_s: float, send_s: float) -> None:
        """Wrap ``broker``; deadlines in seconds."""
        self.inner = broker
        self._read_s = read_s
        self._send_s = send_s

    async def _read(self, call: str, reading: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await within(self._read_s, reading)
        except TimeoutError as error:
            raise BrokerUnavailable(f"{call} gave no answer within {self._read_s} s") from error
        except BrokerError:
            raise
        except Exception as error:  # a broker's bug is a read without an answer, like any other
            raise BrokerUnavailable(f"{call} raised {type(error).__name__}: {error}") from error

    async def connect(self) -> AccountState:
        """Connect, within the send deadline (a login takes its time)."""
        try:
            return await within(self._send_s, self.inner.connect())
        except TimeoutError as error:
            raise BrokerUnavailable(f"connect gave no answer within {self._send_s} s") from error
        except (RiskEngineError, ValueError):
            raise  # says what is wrong with the account or its configuration
        except Exception as error:  # a gateway that is not there is no fault of the account's
            raise BrokerUnavailable(f"connect raised {type(error).__name__}: {error}") from error

    async def disconnect(self) -> None:
        """Disconnect."""
        await self._read("disconnect", self.inner.disconnect())

    async def account(self) -> AccountState:
        """Read the account."""
        return await self._read("account", self.inner.account())

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        """Read positions."""
        return await self._read("positions", self.inner.positions(ticket))

    async def quote(self, symbol: str) -> Quote:
        """Read a quote."""
        return await self._read("quote", self.inner.quote(symbol))

    async def symbol(self, name: str) -> SymbolSpec:
        """Read a symbol's specification."""
        return await self._read("symbol", self.inner.symbol(name))

    async def opens_in_s(self, symbol: str) -> float | None:
        """Read when a market opens; ``None`` of brokers that do not know."""
        if not isinstance(self.inner, SessionTimes):
            return None
        return await self._read("opens_in_s", self.inner.opens_in_s(symbol))

    async def deals_of(self, identifier: int) -> tuple[Deal, ...]:
        """Read a position's deals."""
        return await self._read("deals_of", self.inner.deals_of(identifier))

    async def deals_between(self, since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        """Read a span's deals."""
        return await self._read("deals_between", self.inner.deals_between(since_ms, until_ms))

    async def pending_orders(self) -> tuple[PendingOrder, ...]:
        """Read pending orders."""
        return await self._read("pending_orders", self.inner.pending_orders())

    async def send_close(self, order: CloseOrder) -> Answer:
        """Send one close."""
        return await self._send("send_close", self.inner.send_close(order))

    async def cancel_order(self, ticket: int) -> Answer:
        """Cancel a pending order."""
        return await self._send("cancel_order", self.inner.cancel_order(ticket))

    def use_check(self, check: Callable[[], None]) -> None:
        """Hand ``check`` to a broker that asks before each of its requests."""
        if isinstance(self.inner, ChecksBeforeSending):
            self.inner.use_check(check)

    async def _send(self, call: str, sending: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return await within(self._send_s, sending)
        except TimeoutError:
            text = f"{call} gave no answer within {self._send_s} s"
        except Exception as error:  # noqa: BLE001  # whatever a broker's code raises: fate unknown
            text = f"{call} raised {type(error).__name__}: {error}"
        return Answer(Verdict.UNKNOWN, CODE_EXCEPTION, text)
