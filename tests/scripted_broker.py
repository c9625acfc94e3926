"""A broker of a few lines whose next answers, delays and lies a test writes down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from engine.brokers.port import (
    AccountState,
    Answer,
    ClosedBy,
    CloseOrder,
    Deal,
    DealEntry,
    MarginMode,
    PendingOrder,
    Position,
    Quote,
    Side,
    SymbolSpec,
)
from engine.errors import BrokerUnavailable
from engine.outcomes import Verdict

Reply = Callable[["ScriptedBroker", CloseOrder], Answer]


def fill(order_share: float = 1.0, verdict: Verdict = Verdict.DONE, code: int = 10009) -> Reply:
    """Execute a share of the order, and say so (or not)."""

    def reply(broker: ScriptedBroker, order: CloseOrder) -> Answer:
        volume = round(order.volume * order_share, 8)
        price = broker.execute(order, volume)
        said = volume if verdict in (Verdict.DONE, Verdict.PARTIAL) else 0.0
        return Answer(verdict, code, verdict.value, said, price)

    return reply


def say(verdict: Verdict, code: int = 1, text: str = "scripted") -> Reply:
    """Answer without executing anything."""
    return lambda broker, order: Answer(verdict, code, text)


def fail(error: Exception, *, after_execution: bool = False) -> Reply:
    """Raise instead of answering."""

    def reply(broker: ScriptedBroker, order: CloseOrder) -> Answer:
        if after_execution:
            broker.execute(order, order.volume)
        raise error

    return reply


@dataclass
class ScriptedBroker:
    """Holds positions and deals; fills every close unless the script says otherwise."""

    open: dict[int, Position] = field(default_factory=dict)
    deals: list[Deal] = field(default_factory=list)
    script: deque[Reply] = field(default_factory=deque)
    sent: list[CloseOrder] = field(default_factory=list)
    account_state: AccountState = field(
        default_factory=lambda: AccountState(
            7, "Scripted", "USD", 1000.0, 1000.0, 0.0, 0.0, 100, MarginMode.HEDGING
        )
    )
    unreadable: int = 0
    """Reads that fail before one succeeds."""
    hidden_deal_reads: int = 0
    """Reads of deals that show none of the exits."""
    lingering: dict[int, tuple[Position, int]] = field(default_factory=dict)
    """Closed positions that are still listed, for so many more reads."""
    linger_reads: int = 0
    pending: dict[int, PendingOrder] = field(default_factory=dict)
    cancel_script: deque[Answer] = field(default_factory=deque)
    """Answers to cancellations that do nothing; when it is empty, they work."""
    cancels: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def add(
        self,
        ticket: int,
        volume: float = 1.0,
        *,
        profit: float = 0.0,
        identifier: int | None = None,
    ) -> Position:
        position = Position(
            ticket, identifier or ticket, "EURUSD", Side.LONG, volume, 1.1, 1.1, profit, 0.0, ticket
        )
        self.open[ticket] = position
        self.deals.append(self._deal(position, DealEntry.IN, volume, "", 1.1))
        return position

    def execute(self, order: CloseOrder, volume: float, price: float = 1.05) -> float:
        position = self.open[order.ticket]
        self.take_out(position, volume, price, order.tag, ClosedBy.EXPERT)
        return price

    def take_out(
        self, position: Position, volume: float, price: float, tag: str, by: ClosedBy
    ) -> None:
        assert volume <= position.volume + 1e-9, "closed more than was open"
        self.deals.append(self._deal(position, DealEntry.OUT, volume, tag, price, by))
        left = round(position.volume - volume, 8)
        if self.linger_reads:
            self.lingering[position.ticket] = (position, self.linger_reads)
        if left > 0:
            self.open[position.ticket] = replace(position, volume=left)
        else:
            del self.open[position.ticket]

    def _deal(
        self,
        position: Position,
        entry: DealEntry,
        volume: float,
        tag: str,
        price: float,
        by: ClosedBy = ClosedBy.HAND,
    ) -> Deal:
        return Deal(
            ticket=1000 + len(self.deals),
            order=2000 + len(self.deals),
            identifier=position.identifier,
            symbol=position.symbol,
            entry=entry,
            side=position.side if entry is DealEntry.IN else position.side.opposite,
            volume=volume,
            price=price,
            profit=round((price - position.price_open) * volume * 100, 2) if entry else 0.0,
            commission=-0.5,
            swap=0.0,
            fee=0.0,
            comment=tag,
            closed_by=by,
            time_ms=len(self.deals),
        )

    def _read(self) -> None:
        if self.unreadable:
            self.unreadable -= 1
            raise BrokerUnavailable("scripted: no answer")

    async def connect(self) -> AccountState:
        return await self.account()

    async def disconnect(self) -> None:
        return None

    async def account(self) -> AccountState:
        self._read()
        return self.account_state

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        self._read()
        shown = dict(self.open)
        for number, (position, reads) in list(self.lingering.items()):
            if ticket in (None, number):
                shown[number] = position
                if reads > 1:
                    self.lingering[number] = (position, reads - 1)
                else:
                    del self.lingering[number]
        return tuple(p for p in shown.values() if ticket in (None, p.ticket))

    async def quote(self, symbol: str) -> Quote:
        self._read()
        return Quote(symbol, 1.0999, 1.1001, 0)

    async def symbol(self, name: str) -> SymbolSpec:
        self._read()
        return SymbolSpec(name, 5, 0.00001, 100_000, 0.1, 100.0, 0.1, "EUR", "USD", "EUR")

    async def send_close(self, order: CloseOrder) -> Answer:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.sent.append(order)
            await asyncio.sleep(0)  # another task may run while an order is on its way
            return (self.script.popleft() if self.script else fill())(self, order)
        finally:
            self.in_flight -= 1

    async def deals_of(self, identifier: int) -> tuple[Deal, ...]:
        self._read()
        found = tuple(d for d in self.deals if d.identifier == identifier)
        if self.hidden_deal_reads:
            self.hidden_deal_reads -= 1
            return tuple(d for d in found if not d.entry.is_exit)
        return found

    async def deals_between(self, since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        self._read()
        return tuple(d for d in self.deals if since_ms <= d.time_ms <= until_ms)

    async def pending_orders(self) -> tuple[PendingOrder, ...]:
        self._read()
        return tuple(self.pending.values())

    async def cancel_order(self, ticket: int) -> Answer:
        self.cancels.append(ticket)
        if self.cancel_script:
            return self.cancel_script.popleft()
        if self.pending.pop(ticket, None) is not None:
            return Answer(Verdict.DONE, 10009, "done")
        return Answer(Verdict.MAYBE_MET, 10013, "no such order")
