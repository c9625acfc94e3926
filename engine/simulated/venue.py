"""The broker's side of one account: market time, what it brings about, and requests in it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.simulated.account import AccountSettings
from engine.simulated.book import AccountBook
from engine.simulated.dealing import Answer, Dealing
from engine.simulated.events import Events
from engine.simulated.fills import Fills
from engine.simulated.market import Cursor, Market, Quotes
from engine.simulated.numbers import Action, Reason, Retcode
from engine.simulated.requests import Request
from engine.simulated.valuation import Standing, Valuation

_DAY_MS = 86_400_000


@dataclass(slots=True)
class _DelayedRequest:
    """A request that the broker has accepted and will carry out later."""

    request: Request
    due_ms: int | None
    reads_left: int | None


class Venue:
    """One account at the broker, at its own place in market time."""

    __slots__ = (
        "_dealing",
        "_delayed",
        "_events",
        "_fills",
        "account",
        "book",
        "cursor",
        "market",
        "valuation",
    )

    def __init__(self, market: Market, account: AccountSettings) -> None:
        """Open the account at the market's start.

        Raises:
            ValueError: A symbol of the market cannot be valued in the account's currency.
        """
        self.market = market
        self.account = account
        self.valuation = Valuation(market, account)
        self.cursor = Cursor(market)
        self.book = AccountBook(account, self.cursor.time_ms)
        self._fills = Fills(market, self.book, self.valuation)
        self._dealing = Dealing(market, self.book, self.valuation, self._fills)
        self._events = Events(market, self.book, self.valuation, self._fills, self._dealing.pending)
        self._delayed: list[_DelayedRequest] | None = None

    def advance(self) -> bool:
        """Go to the next tick of any symbol and apply it; ``False`` at the end."""
        following = self.cursor.next_tick()
        if following is None:
            return False
        self._pass_tick(*following)
        return True

    def move_to(self, time_ms: int) -> None:
        """Go to a later moment; every tick on the way takes effect.

        Raises:
            ValueError: ``time_ms`` is in the past.
        """
        cursor = self.cursor
        if time_ms < cursor.time_ms:
            raise ValueError(
                f"time_ms={time_ms!r} is before the market's time {cursor.time_ms}; "
                f"market time only moves forward"
            )
        book = self.book
        if not (book.positions or book.pending or self._delayed):
            cursor.jump(time_ms)
            return
        following = cursor.next_tick()
        while following is not None and following[0] <= time_ms:
            self._pass_tick(*following)
            following = cursor.next_tick()
        self._pass_time(time_ms)
        cursor.time_ms = time_ms

    def _pass_tick(self, time_ms: int, slot: int) -> None:
        self._pass_time(time_ms)
        self.cursor.step(slot, time_ms)
        self._events.on_tick(slot, self.cursor)

    def _pass_time(self, time_ms: int) -> None:
        if self._delayed:
            self._carry_out_due(time_ms)
        before = self.cursor.time_ms
        if before // _DAY_MS != time_ms // _DAY_MS:
            self._events.roll_over(before, time_ms, self.cursor)

    def handle(self, request: Request, *, at_once: bool = True, share: float = 1.0) -> Answer:
        """Judge a request that has arrived and carry it out.

        Args:
            request: What is asked.
            at_once: Execute at the current tick; otherwise at the symbol's first tick at or
                after the current time.
            share: The part of a market order's volume that is there to be had.
        """
        return self._handle(request, self.cursor.time_ms, at_once=at_once, share=share)

    def _handle(self, request: Request, now_ms: int, *, at_once: bool, share: float) -> Answer:
        slot = self._dealing.slot_of(request)
        if slot is None:
            gone = request.action in (Action.SLTP, Action.CLOSE_BY)
            known = gone and self.book.knows_position(request.position)
            return Answer(Retcode.POSITION_CLOSED if known else Retcode.INVALID)
        prices: Quotes = self.cursor
        if not at_once:
            prices = self.cursor.quotes_for_fill(slot, now_ms)
        refusal = self._dealing.judge(request, slot, prices, now_ms)
        if refusal is not None:
            return Answer(refusal, bid=prices.bid(slot), ask=prices.ask(slot))
        return self._dealing.carry_out(request, slot, prices, now_ms, share)

    def check(self, request: Request) -> Retcode | None:
        """Judge a request at the current prices without carrying it out."""
        slot = self._dealing.slot_of(request)
        if slot is None:
            return Retcode.INVALID
        return self._dealing.judge(request, slot, self.cursor, self.cursor.time_ms)

    def close_in_between(self, ticket: int, reason: Reason) -> None:
        """Close a position, if it is open, for a reason outside the client's requests."""
        position = self.book.positions.get(ticket)
        if position is None:
            return
        comment = "" if reason is Reason.CLIENT else f"[{reason.name.lower()}]"
        self._fills.close_at_once(position, self.cursor, reason, comment)

    def delay(self, request: Request, delay_ms: float | None, reads: int | None) -> None:
        """Accept a request now and carry it out after some market time or some reads."""
        due = None if delay_ms is None else self.cursor.time_ms + round(delay_ms)
        if self._delayed is None:
            self._delayed = []
        self._delayed.append(_DelayedRequest(request, due, reads))

    def _carry_out_due(self, time_ms: int) -> None:
        waiting = self._delayed or []
        due = [late for late in waiting if late.due_ms is not None and late.due_ms <= time_ms]
        for late in due:
            waiting.remove(late)
            self._handle(late.request, late.due_ms or time_ms, at_once=False, share=1.0)

    def count_read(self) -> None:
        """Count one read of positions or deals, and carry out what was waiting for it."""
        for late in list(self._delayed or ()):
            if late.reads_left is None:
                continue
            if late.reads_left > 0:
                late.reads_left -= 1
            else:
                (self._delayed or []).remove(late)
                self._handle(late.request, self.cursor.time_ms, at_once=True, share=1.0)

    def standing(self) -> Standing:
        """Return the account's figures now."""
        return self.valuation.standing(self.book, self.cursor)
