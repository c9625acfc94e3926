"""The port to a broker: what the engine reads, the one order it sends, and the answer.

Everything here is plain, picklable data: structs of a terminal's binding are not. Money is in
the account's currency, prices in the symbol's quote currency, volumes in lots. Times are the
*broker's* (``*_ms``: milliseconds since 1970 as the broker's server counts them, which need not
be UTC) and serve to order the broker's own facts; never compare them with this machine's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol, runtime_checkable

from engine.outcomes import Verdict

LONGEST_TAG = 27
"""Characters a close tag may have: MT5 keeps comments of 29 at most (27 are safe), ASCII only."""

FAR_FUTURE_MS = 4_102_444_800_000
"""2100-01-01 of the broker's time, after any deal."""


class Side(StrEnum):
    """Direction of a position."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 for long, -1 for short."""
        return 1 if self is Side.LONG else -1

    @property
    def opposite(self) -> Side:
        """The side of the order that closes it."""
        return Side.SHORT if self is Side.LONG else Side.LONG


class MarginMode(StrEnum):
    """Whether an account holds many positions of a symbol or one net position."""

    HEDGING = "hedging"
    NETTING = "netting"


class DealEntry(IntEnum):
    """What a deal did to its position (MT5's numbers)."""

    IN = 0
    OUT = 1
    INOUT = 2
    OUT_BY = 3

    @property
    def is_exit(self) -> bool:
        """Whether the deal took volume out of the position."""
        return self is not DealEntry.IN


class ClosedBy(StrEnum):
    """Who caused a deal, as far as the broker says."""

    EXPERT = "expert"
    """An automated client: ours if the deal carries our close tag."""
    HAND = "by hand"
    STOP_LOSS = "stop loss"
    TAKE_PROFIT = "take profit"
    STOP_OUT = "stop-out"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class AccountState:
    """One read of an account."""

    login: int
    server: str
    currency: str
    balance: float
    equity: float
    margin: float
    margin_level: float
    """Equity over margin in per cent; 0.0 while no margin is used, as MT5 reports it."""
    leverage: int
    margin_mode: MarginMode
    fifo: bool = False
    """Whether positions of a symbol must be closed oldest first."""
    is_real: bool = False
    """Whether real money is at stake."""
    trade_allowed: bool = True
    currency_digits: int = 2


@dataclass(frozen=True, slots=True)
class Position:
    """One open position, as just read."""

    ticket: int
    """What an order must name now; can change over the position's life."""
    identifier: int
    """The position's stable number; its deals carry it."""
    symbol: str
    side: Side
    volume: float
    price_open: float
    price_current: float
    profit: float
    swap: float
    opened_ms: int
    comment: str = ""

    @property
    def position_id(self) -> str:
        """The identifier as the engine's ``position_id``."""
        return str(self.identifier)


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution in the account's history."""

    ticket: int
    order: int
    identifier: int
    """The position it belongs to."""
    symbol: str
    entry: DealEntry
    side: Side
    """Direction of the *deal*: a long position is left by a SHORT deal."""
    volume: float
    price: float
    profit: float
    commission: float
    swap: float
    fee: float
    comment: str
    closed_by: ClosedBy
    time_ms: int

    @property
    def result(self) -> float:
        """What the deal did to the balance: profit, commission, swap and fee."""
        return self.profit + self.commission + self.swap + self.fee


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that waits for its price."""

    ticket: int
    symbol: str
    side: Side
    volume: float
    price: float
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest bid and ask of a symbol."""

    symbol: str
    bid: float
    ask: float
    time_ms: int

    @property
    def mid(self) -> float:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    def closing_price(self, side: Side) -> float:
        """What a position of ``side`` is closed at: long at the bid, short at the ask."""
        return self.bid if side is Side.LONG else self.ask


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """How a symbol is traded."""

    name: str
    digits: int
    point: float
    contract_size: float
    volume_min: float
    volume_max: float
    volume_step: float
    currency_base: str
    currency_profit: str
    currency_margin: str


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """The one order the engine sends: take ``volume`` lots out of a position at the market."""

    ticket: int
    symbol: str
    side: Side
    """Side of the *position*; the broker trades the opposite."""
    volume: float
    tag: str
    """Close tag, at most :data:`LONGEST_TAG` ASCII characters; the deal must carry it."""
    price: float | None = None
    """Price asked for; counts on request and instant execution only. ``None``: the market's."""
    attempt: int = 1
    """Which request of this close it is; all of them share the tag."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the broker said to one order, classified."""

    verdict: Verdict
    code: int
    """The broker's own code (MT5: retcode, or a negative ``last_error`` when none came)."""
    text: str
    volume: float = 0.0
    """Lots executed, as far as the answer says."""
    price: float = 0.0
    order: int = 0
    deal: int = 0
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    """Request and answer as plain data, for the audit."""


class Broker(Protocol):
    """One account at one broker.

    Reads raise :class:`engine.errors.BrokerError` when the broker does not answer; an empty
    tuple means that the broker *said* there is nothing. ``send_close`` never raises for what
    the broker does: an answer that proves nothing is :attr:`Verdict.UNKNOWN`. An exception that
    escapes from it is treated as UNKNOWN, too.

    A broker keeps the engine's exactly-once promise only if deals can be looked up by position
    and carry the close tag.
    """

    async def connect(self) -> AccountState:
        """Open or re-open the connection and prove that it leads to the right account."""
        ...

    async def disconnect(self) -> None:
        """Let go of the connection; harmless when there is none."""
        ...

    async def account(self) -> AccountState:
        """Read the account."""
        ...

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        """Read all open positions, or the one with this ticket."""
        ...

    async def quote(self, symbol: str) -> Quote:
        """Read the latest quote."""
        ...

    async def symbol(self, name: str) -> SymbolSpec:
        """Read how a symbol is traded (may be cached by the adapter)."""
        ...

    async def send_close(self, order: CloseOrder) -> Answer:
        """Send one close. One call is one request at the broker, never more."""
        ...

    async def deals_of(self, identifier: int) -> tuple[Deal, ...]:
        """Read every deal of one position, oldest first."""
        ...

    async def deals_between(self, since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        """Read the account's deals of a span of broker time, oldest first."""
        ...

    async def pending_orders(self) -> tuple[PendingOrder, ...]:
        """Read the orders that wait for their price."""
        ...

    async def cancel_order(self, ticket: int) -> Answer:
        """Cancel one pending order."""
        ...


@runtime_checkable
class ChecksBeforeSending(Protocol):
    """A broker that needs several calls for one order, and asks again before the one that acts.

    The engine asks before ``send_close``. What comes first in there, a new connection or a price,
    can take longer than a permit lasts.
    """

    def use_check(self, check: Callable[[], None]) -> None:
        """Call ``check`` right before each request, and answer NOT_SENT if it raises LeaseLost."""
        ...


@runtime_checkable
class SessionTimes(Protocol):
    """A broker that knows its trading sessions (MetaTrader 5's Python package does not)."""

    async def opens_in_s(self, symbol: str) -> float | None:
        """Return the seconds until the symbol can be traded: 0 for now, ``None`` for unknown."""
        ...


@runtime_checkable
class MarketFeed(Protocol):
    """A broker that knows when its market moves next: a replay. Brokers without it are polled."""

    def due_in(self) -> float | None:
        """Return the seconds until the market moves next, 0 for now, ``None`` for never again."""
        ...

    def advance(self) -> None:
        """Let the market move once."""
        ...
