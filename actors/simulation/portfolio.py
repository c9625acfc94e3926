"""Accounts and their first positions, and the prices that they are worth."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cache
from random import Random

from actors.simulation.clock import EPOCH_US
from engine.prices.path import PricePath
from engine.simulated.account import AccountSettings
from engine.simulated.market import Market
from engine.simulated.numbers import AccountKind, MarginMode

_SYMBOLS = (("EURUSD", 5, 1.10), ("GBPUSD", 5, 1.30), ("USDJPY", 3, 150.0))
SYMBOLS = tuple(name for name, _, _ in _SYMBOLS)
PASSWORD = "hunter2-of-the-simulation"  # nobody's: records are searched for it
MARKETS = 4
"""How many different courses of prices there are."""


@dataclass(frozen=True, slots=True)
class PlannedPosition:
    """A position that is open at the beginning."""

    symbol: str
    sign: int
    volume: float
    stop: float = 0.0
    """Distance of the stop loss as a fraction of the price; 0 for none."""


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """One account."""

    user_id: str
    login: int
    is_hedging: bool
    is_real: bool
    allow_live: bool
    positions: tuple[PlannedPosition, ...]
    is_fifo: bool = False

    def settings(self) -> AccountSettings:
        """Return what its broker lays down."""
        return AccountSettings(
            deposit=100_000.0,
            password=PASSWORD,
            login=self.login,
            server="Simulated-1" if self.login % 2 else "Simulated-2",
            margin_mode=MarginMode.HEDGING if self.is_hedging else MarginMode.NETTING,
            kind=AccountKind.REAL if self.is_real else AccountKind.DEMO,
            fifo=self.is_fifo,
        )

    @property
    def may_be_sent_to(self) -> bool:
        """Whether orders may go to it."""
        return self.allow_live or not self.is_real


def plan_accounts(random: Random, accounts: int, positions: int) -> tuple[PlannedAccount, ...]:
    """Draw accounts with ``positions`` positions each (a netting one has one a symbol)."""
    return tuple(_account(random, number, positions) for number in range(accounts))


def _account(random: Random, number: int, positions: int) -> PlannedAccount:
    is_hedging = random.random() < 0.75
    is_real = random.random() < 0.15
    return PlannedAccount(
        user_id=f"user-{number + 1}",
        login=5_000 + number,
        is_hedging=is_hedging,
        is_real=is_real,
        allow_live=is_real and random.random() < 0.8,
        positions=tuple(_position(random, place, is_hedging) for place in range(positions)),
        is_fifo=is_hedging and random.random() < 0.1,
    )


def _position(random: Random, place: int, is_hedging: bool) -> PlannedPosition:
    # On a netting account the first orders for a symbol all go one way, so that they add up.
    symbol = SYMBOLS[place % len(SYMBOLS)]
    sign = random.choice((1, -1)) if is_hedging else 1
    return PlannedPosition(
        symbol=symbol,
        sign=sign,
        volume=random.choice((0.1, 0.2, 0.5, 0.03)),
        stop=random.choice((0.0, 0.0, 0.0, 0.004)),
    )


@cache
def market(number: int) -> Market:
    """Return one of a few courses of prices, the same objects for every run of this process."""
    return Market([_path(number, *symbol) for symbol in _SYMBOLS])


def _path(number: int, symbol: str, digits: int, start: float) -> PricePath:
    """Make a short, jumpy course: a tick every two seconds of the first minute, then calm."""
    random = Random(f"prices/{number}/{symbol}")
    times = [0, *range(1_000, 60_000, 2_000), *range(60_000, 600_000, 20_000)]
    bids, price = [], start
    for time_ms in times:
        if time_ms:
            price *= 1 + random.gauss(0, 0.0015 if time_ms < 60_000 else 0.0001)
        bids.append(round(price, digits))
    spread = 10.0**-digits * 10
    return PricePath(
        symbol=symbol,
        digits=digits,
        source=f"simulation {number}",
        times_ms=array("q", [EPOCH_US // 1000 + time_ms for time_ms in times]),
        bids=array("d", bids),
        asks=array("d", [round(bid + spread, digits) for bid in bids]),
    )
