"""What must happen to an account, from the price file's text and decimal arithmetic alone.

A second opinion: it shares nothing with the engine, neither parser nor arithmetic, so that an
error would have to be made twice. It rests on the terminal's file formats, on the rules of the
guards and of the simulated venue as they are documented, and on school arithmetic in
:class:`decimal.Decimal`.

* Positions are opened at the first quote: long at the ask, short at the bid. No commission, no
  swap, no stop-out.
* A position's profit is (exit - entry) x contract size x lots, in the quote currency. In an
  account that is kept in the base currency a gain is divided by the ask and a loss by the bid of
  the moment, for it is sold or bought at that price. It is rounded to cents, half away from zero.
* At every quote the guards look: drawdown of equity from its peak (20 %), then the distance of
  the mid price from the one before (3 %), then the spread over the mid price (1 %).
* Largest loss first, equals in the order in which they were opened. Each order takes the latency;
  it fills at the first quote at or after that moment, after the file's end at the last.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

CENT = Decimal("0.01")
CRITICAL_DRAWDOWN = Decimal("0.20")
GAP = Decimal("0.03")
SPREAD = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Quote:
    time_ms: int
    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Holding:
    """One position; its number in the account is the order of opening."""

    is_long: bool
    lots: Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    size: Decimal
    is_kept_in_base: bool
    """Whether the account's currency is the symbol's base and not its quote currency."""


USDJPY = Contract(Decimal(100_000), is_kept_in_base=True)
EURUSD = Contract(Decimal(100_000), is_kept_in_base=False)
BTCUSD = Contract(Decimal(1), is_kept_in_base=False)
"""One lot of each, on an account in USD."""


@dataclass(frozen=True, slots=True)
class Trip:
    quote: int
    guard: str
    reason: str
    """First word of the guard's reason."""


@dataclass(frozen=True, slots=True)
class Exit:
    holding: int
    quote: int
    price: Decimal
    pnl: Decimal


def read_quotes(path: Path) -> list[Quote]:
    """Read a terminal's export; ticks or bars of less than a day."""
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    if header[2] == "<BID>":
        return list(_ticks(rows))
    assert header[2] == "<OPEN>"
    return list(_bars(rows))


def _time_ms(date: str, time: str) -> int:
    whole, _, fraction = time.partition(".")
    moment = datetime.strptime(f"{date} {whole}", "%Y.%m.%d %H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000 + int(fraction.ljust(3, "0"))


def _ticks(rows: Sequence[Sequence[str]]) -> Iterator[Quote]:
    bid = ask = None
    for date, time, bid_text, ask_text, *_ in rows:
        bid = Decimal(bid_text) if bid_text else bid
        ask = Decimal(ask_text) if ask_text else ask
        if bid is not None and ask is not None:
            yield Quote(_time_ms(date, time), bid, ask)


def _bars(rows: Sequence[Sequence[str]]) -> Iterator[Quote]:
    """Walk each bar in quarters: open, the extreme against its direction, the other, close."""
    point = min(Decimal(1).scaleb(_exponent(text)) for row in rows for text in row[2:6])
    starts = [_time_ms(row[0], row[1]) for row in rows]
    length = min(later - earlier for earlier, later in pairwise(starts))
    for start, row in zip(starts, rows, strict=True):
        opened, high, low, closed = (Decimal(text) for text in row[2:6])
        spread = int(row[8]) * point
        bids = (opened, high, low, closed) if closed < opened else (opened, low, high, closed)
        for quarter, bid in enumerate(bids):
            yield Quote(start + quarter * length // 4, bid, bid + spread)


def _exponent(text: str) -> int:
    exponent = Decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def profit(holding: Holding, contract: Contract, opened: Quote, now: Quote) -> Decimal:
    """Work out what closing a holding now would bring, in cents of the account's currency."""
    move = now.bid - opened.ask if holding.is_long else opened.bid - now.ask
    amount = move * contract.size * holding.lots
    if contract.is_kept_in_base:
        amount /= now.ask if amount > 0 else now.bid
    return amount.quantize(CENT, ROUND_HALF_UP)


def find_trip(
    quotes: Sequence[Quote], deposit: Decimal, holdings: Sequence[Holding], contract: Contract
) -> Trip | None:
    """Find the first quote at which a guard trips."""
    opened = quotes[0]
    peak = Decimal(0)
    previous = opened.mid
    for number, quote in enumerate(quotes):
        equity = deposit + sum(profit(h, contract, opened, quote) for h in holdings)
        peak = max(peak, equity)
        if (peak - max(equity, Decimal(0))) / peak >= CRITICAL_DRAWDOWN:
            return Trip(number, "drawdown", "drawdown")
        mid = quote.mid
        if abs(mid - previous) / previous >= GAP:
            return Trip(number, "market", "gap")
        if (quote.ask - quote.bid) / mid >= SPREAD:
            return Trip(number, "market", "liquidity")
        previous = mid
    return None


def liquidate(
    quotes: Sequence[Quote],
    tripped: int,
    holdings: Sequence[Holding],
    contract: Contract,
    latency_ms: float,
) -> list[Exit]:
    """Close all holdings one after another, beginning at the quote ``tripped``."""
    opened = quotes[0]
    times = [quote.time_ms for quote in quotes]
    by_loss = sorted(
        range(len(holdings)),
        key=lambda n: (profit(holdings[n], contract, opened, quotes[tripped]), n),
    )
    exits = []
    now, at = times[tripped], tripped
    for number in by_loss:
        if latency_ms:
            now += math.ceil(latency_ms)
            at = min(bisect_left(times, now), len(times) - 1)
        quote, holding = quotes[at], holdings[number]
        price = quote.bid if holding.is_long else quote.ask
        exits.append(Exit(number, at, price, profit(holding, contract, opened, quote)))
    return exits
