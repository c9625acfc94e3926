"""An account's desk at the venue: takes requests in, executes them in their time, answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final, Protocol, TypeVar

from engine.brokers.port import Side
from engine.clock import Clock
from engine.simulated.api_table import FUNCTIONS, OrderSendResult, Struct, TradeRequest
from engine.simulated.market import Market
from engine.simulated.numbers import RETCODE_TEXTS, Reason
from engine.simulated.requests import Request
from engine.simulated.served.accounts import ServedAccount
from engine.simulated.served.behaviour import Fate, VenueBehaviour
from engine.simulated.served.booked_terminal import BookedTerminal
from engine.simulated.served.ledger import AccountCounts, RequestLedger, ServedRequest

_T = TypeVar("_T")

_APART: Final = 1_000_003  # so that no two accounts of a venue draw alike
_FAILED: Final = (None, False)
_REFUSED_AT_ONCE: Final = (-2, -8)
_READABLE: Final = frozenset(FUNCTIONS) - {"order_send", "last_error"}

Reply = tuple[Any, tuple[int, str] | None]
"""A result, and ``last_error()`` if it is ``None`` or ``False``."""


class Line(Protocol):
    """One client's connection, as a desk sees it."""

    number: int
    client_pid: int

    def reply(self, call: int, reply: Reply) -> bool:
        """Answer a call; ``False`` when the client is gone."""
        ...

    def cut(self) -> None:
        """Close the connection without a word."""
        ...


class AccountDesk:
    """One account: its terminal, its requests, and what the venue does to them.

    Requests are executed by tasks of their own, so that they outlive the connection that they
    came by. A terminal whose faults wait (hangs) is called in a thread of its own, one call at a
    time, so that it hangs alone.

    Args:
        account: The account's plan; its positions are opened at once.
        market: The prices.
        behaviour: How requests are treated.
        clock: Dates and delays them.
        pause: Waits out a fault's seconds, in the account's thread.
        spawn: Runs a task until its end and keeps it.
        stand_at_ms: Market time to which the account is moved after opening.

    Raises:
        ValueError: The account cannot hold what is planned, or a fault is wrong.
    """

    def __init__(
        self,
        account: ServedAccount,
        market: Market,
        behaviour: VenueBehaviour,
        *,
        clock: Clock,
        pause: Callable[[float], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        stand_at_ms: int | None = None,
    ) -> None:
        """Open the account and its positions."""
        plan = account.fault_plan()
        waits = any(fault.seconds for fault in plan.faults)
        self.login = account.login
        self.terminal = BookedTerminal(
            market,
            account.settings(),
            seed=behaviour.seed * _APART + account.login,
            latency_ms=behaviour.latency_ms,
            # Without a fault that waits, the desk itself lets the latency pass.
            pause=self._wait_out if waits else None,
            faults=plan,
            wall_ms=lambda: clock.monotonic() * 1000,
        )
        self._turn = threading.Lock()
        self._pause = pause
        self.ledger = RequestLedger(account.login)
        self._behaviour = behaviour
        self._clock = clock
        self._spawn = spawn
        self._thread = (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"account-{account.login}")
            if waits
            else None
        )
        self._released = asyncio.Event()
        self._released.set()
        self._holds_orders = False
        self._hang: asyncio.Task[None] | None = None
        self._deals_us: list[int] = []
        for side, lots in account.positions:
            try:
                self.open_position(side, lots)
            except ValueError as error:
                raise ValueError(f"account {account.login}: {error}") from error
        if stand_at_ms is not None:
            self.terminal.move_to(stand_at_ms)
        self._date_deals()

    @property
    def symbol(self) -> str:
        """The symbol that the account trades."""
        return self.terminal.market.symbols[0]

    def place(self) -> dict[str, int | None]:
        """Say where the account stands in market time, and when its next tick is."""
        return self._alone(self._place)

    def _place(self) -> dict[str, int | None]:
        return {"time_ms": self.terminal.time_ms, "next_ms": self.terminal.next_tick_ms()}

    # --- calls of clients -----------------------------------------------------------------

    def take(
        self, line: Line, call: int, function: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Take a call in; it is answered on ``line`` as soon as the venue gets to it.

        Raises:
            ValueError: There is no such function.
        """
        if function == "order_send":
            request = args[0] if args and isinstance(args[0], dict) else {}
            entry = self.ledger.arrive(line.number, line.client_pid, request, self._now_us())
            self._spawn(self._order(line, call, entry))
        elif function != "advance" and function not in _READABLE:
            raise ValueError(f"{function!r} is no function of a terminal")
        elif self._thread is None and self._released.is_set():
            line.reply(call, self._alone(lambda: self._call(function, args, kwargs)))
        else:
            self._spawn(self._read(line, call, function, args, kwargs))

    def _now_us(self) -> int:
        return self._clock.wall_us()

    def _date_deals(self) -> None:
        """Note the wall time of deals that are new: the book knows market time only."""
        missing = len(self.terminal.book.deals) - len(self._deals_us)
        if missing:
            self._deals_us += [self._now_us()] * missing

    def _call(self, function: str, args: list[Any], kwargs: dict[str, Any]) -> Reply:
        reply = self._call_terminal(function, args, kwargs)
        self._date_deals()
        return reply

    def _call_terminal(self, function: str, args: list[Any], kwargs: dict[str, Any]) -> Reply:
        if function == "advance":
            self.terminal.advance()
            return self._place(), None
        if function == "shutdown":
            return None, None  # the account's terminal stays up: others may be connected to it
        try:
            value = getattr(self.terminal, function)(*args, **kwargs)
        except TypeError as error:  # as the binding says of arguments that do not fit
            return None, (-2, f"Invalid arguments: {error}")
        return value, self.terminal.last_error() if value in _FAILED else None

    async def _read(
        self, line: Line, call: int, function: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        await self._released.wait()
        reply = await self._in_turn(lambda: self._call(function, args, kwargs))
        await self._released.wait()
        line.reply(call, reply)

    async def _in_turn(self, work: Callable[[], _T]) -> _T:
        """Use the terminal, in its thread if it may wait; one call at a time."""
        if self._thread is None:
            return self._alone(work)
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._alone(work)
        )

    def _alone(self, work: Callable[[], _T]) -> _T:
        """Use the terminal while no other thread does."""
        with self._turn:
            return work()

    def _wait_out(self, seconds: float) -> None:
        """Wait in a call of the terminal, and let an operator at the account meanwhile."""
        self._turn.release()
        try:
            self._pause(seconds)
        finally:
            self._turn.acquire()

    async def _order(self, line: Line, call: int, entry: ServedRequest) -> None:
        arrived = self._clock.monotonic()
        fate = self._behaviour.fate(self.login, entry.number)
        entry.is_lost = fate.is_lost
        self.ledger.partial += fate.share < 1
        answered_at = arrived + self._behaviour.latency_ms / 1000
        if self._holds_orders:
            await self._released.wait()
        if fate.answer_first is not None:
            self.ledger.late += 1
            await self._until(answered_at)
            early = (self._early(entry, fate.answer_first), None)
            self._spawn(self._answer(line, call, entry, early))  # a hang holds the answer alone
            await self._execute(line, call, entry, fate)
            return
        reply = await self._execute(line, call, entry, fate)
        if reply[1] is None or reply[1][0] not in _REFUSED_AT_ONCE:
            await self._until(answered_at)
        if not fate.is_lost:
            await self._answer(line, call, entry, reply)
        elif fate.cuts:
            line.cut()

    async def _answer(self, line: Line, call: int, entry: ServedRequest, reply: Reply) -> None:
        await self._released.wait()
        if line.reply(call, reply):
            entry.answered_us = self._now_us()

    async def _until(self, moment: float) -> None:
        left = moment - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)

    async def _execute(self, line: Line, call: int, entry: ServedRequest, fate: Fate) -> Reply:
        """Wait as long as the venue does, carry the request out, and have a duplicate follow."""
        if fate.delay_s:
            await self._clock.sleep(fate.delay_s)
        reply = await self._in_turn(lambda: self._carry_out(entry, fate.share))
        if fate.repeated_after_s is not None:
            again = self.ledger.duplicate(entry, self._now_us())
            self._spawn(self._execute_again(line, call, again, fate.repeated_after_s))
        return reply

    async def _execute_again(
        self, line: Line, call: int, entry: ServedRequest, delay_s: float
    ) -> None:
        """Carry a duplicate out, and answer it too: the client hears of one call twice."""
        if delay_s:
            await self._clock.sleep(delay_s)
        reply = await self._in_turn(lambda: self._carry_out(entry, 1.0))
        if not entry.is_lost:
            await self._answer(line, call, entry, reply)

    def _carry_out(self, entry: ServedRequest, share: float) -> Reply:
        book = self.terminal.book
        before = len(book.deals)
        value, code, text = self.terminal.execute(entry.request, share)
        deals = book.deals[before:]
        self._date_deals()
        entry.executed_us = self._now_us()
        comment = entry.request.get("comment", "")
        # Latency moves the market: a stop that fired on the way is no deal of the request's.
        own = [d for d in deals if d.reason == Reason.EXPERT and d.comment == comment]
        entry.deals = tuple(deal.ticket for deal in own)
        entry.lots = round(sum(deal.volume for deal in own), 8)
        if value is None:
            entry.error = code
            return None, (code, text)
        entry.retcode = value.retcode
        return value, None

    @staticmethod
    def _early(entry: ServedRequest, code: int) -> Struct:
        """Return an answer that says nothing of the execution, for there was none yet."""
        known = {name: entry.request[name] for name in Request._fields if name in entry.request}
        request = TradeRequest(Request(**known))
        text = RETCODE_TEXTS[code]
        return OrderSendResult((code, 0, 0, 0.0, 0.0, 0.0, 0.0, text, entry.number, 0, request))

    # --- what an operator does --------------------------------------------------------------

    def hang(self, seconds: float | None, *, holds_orders: bool) -> None:
        """Answer no call until :meth:`release`, or for ``seconds``.

        Args:
            seconds: How long; ``None``: until released.
            holds_orders: Whether orders wait, too; else they are executed, and not answered.
        """
        self.release()
        self._released.clear()
        self._holds_orders = holds_orders
        if seconds is not None:
            self._hang = self._spawn(self._release_after(seconds))

    async def _release_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._hang = None
        self.release()

    def release(self) -> None:
        """Answer again, what has waited first; harmless when nothing hangs."""
        if self._hang is not None:
            self._hang.cancel()
            self._hang = None
        self._holds_orders = False
        self._released.set()

    def open_position(self, side: Side, lots: float) -> int:
        """Open a position that no client has asked for, and return its ticket.

        Raises:
            ValueError: The account refuses it.
        """
        return self._own(lambda: self.terminal.open_by_operator(self.symbol, side.sign, lots))

    def place_pending(self, lots: float) -> int:
        """Place an order that is not reached, and return its ticket.

        Raises:
            ValueError: The account refuses it.
        """
        return self._own(lambda: self.terminal.place_by_operator(self.symbol, lots))

    def close_by_hand(self, ticket: int) -> None:
        """Close a position as its owner would.

        Raises:
            ValueError: It is not open.
        """
        self._own(lambda: self.terminal.close_by_hand(ticket))

    def _own(self, work: Callable[[], _T]) -> _T:
        deals = self.terminal.book.deals
        with self._turn:
            before = len(deals)
            result = work()
            self.ledger.own_deals.update(deal.ticket for deal in deals[before:])
            self._date_deals()
        return result

    def counts(self) -> AccountCounts:
        """Count the account."""
        terminal = self.terminal
        with self._turn:
            return self.ledger.count(
                terminal.book.deals, terminal.open_positions(), len(terminal.book.pending)
            )

    def book(self) -> dict[str, Any]:
        """Return the account's whole book as plain data."""
        return self._alone(self._book)

    def _book(self) -> dict[str, Any]:
        terminal = self.terminal
        return {
            "login": self.login,
            "symbol": self.symbol,
            "time_ms": terminal.time_ms,
            "balance": terminal.book.balance,
            "positions": [struct._asdict() for struct in terminal.open_positions()],
            "pending": [struct._asdict() for struct in terminal.waiting_orders()],
            "deals": [struct._asdict() for struct in terminal.book.deals],
            "deals_us": self._deals_us,
            "own_deals": sorted(self.ledger.own_deals),
            "requests": [asdict(entry) for entry in self.ledger.requests],
        }

    def close(self) -> None:
        """Let go of the thread."""
        self.release()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
