"""The plan of a stress run: prices, and who holds what. Depends on the options and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from random import Random

from actors.registry import Shared
from actors.stress.options import StressOptions
from engine.brokers.account_spec import AccountSpec
from engine.brokers.port import Side
from engine.prices import PricePath, read_prices, scenario
from engine.simulated import SymbolSettings, symbol_settings

SHARED_PRICES = "prices"
FIRST_LOGIN = 100_001
"""Number of the first account at its broker."""
BROKER = "engine.simulated.replay:replay_broker"
LONG_SHARE = 0.9
"""Positions that bet on rising prices: a crowd stands on one side before it falls."""


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """One account before the first tick."""

    user_id: str
    deposit: float
    currency: str
    leverage: float
    """Exposure over deposit, all positions added up without regard to their side."""
    positions: tuple[tuple[Side, float], ...]
    """Side and lots of each."""


@dataclass(frozen=True, slots=True)
class StressPlan:
    """Everything that decides what happens."""

    options: StressOptions
    prices: PricePath
    symbol: SymbolSettings
    currency: str
    accounts: tuple[PlannedAccount, ...]

    @property
    def position_count(self) -> int:
        """Positions of all accounts."""
        return sum(len(account.positions) for account in self.accounts)

    @property
    def worst_ms(self) -> int:
        """Market time of the lowest bid: the worst moment for a crowd that is long."""
        return self.prices.times_ms[self.prices.lowest()]

    def ideal_s(self, positions_closed: Sequence[int]) -> float:
        """Return the longest account's positions times the latency, in seconds."""
        return max(positions_closed, default=0) * self.options.latency_ms / 1000

    def specs(self) -> list[AccountSpec]:
        """Return the accounts as the engine takes them."""
        stand_at = self.worst_ms if self.options.trigger == "all" else None
        return [
            AccountSpec(
                user_id=account.user_id,
                broker=BROKER,
                options={
                    "prices": Shared(SHARED_PRICES),
                    "login": number,
                    "deposit": account.deposit,
                    "currency": account.currency,
                    "positions": [(side.value, lots) for side, lots in account.positions],
                    "latency_ms": self.options.latency_ms,
                    "seed": self.options.seed,
                    "speed": self.options.speed,
                    "stand_at_ms": stand_at,
                },
            )
            for number, account in enumerate(self.accounts, start=FIRST_LOGIN)
        ]


def make_plan(options: StressOptions) -> StressPlan:
    """Read or generate the prices, and deal out deposits, leverages and positions.

    Raises:
        ValueError: the price file or the symbol is no good, or an account cannot hold what is
            asked for; the message names it.
    """
    if options.prices is not None and options.symbol is not None:
        prices = read_prices(options.prices, options.symbol)
    else:
        prices = scenario(options.scenario).generate(options.seed)
    symbol = symbol_settings(prices.symbol, prices.digits)
    currency = _account_currency(symbol)
    return StressPlan(
        options=options,
        prices=prices,
        symbol=symbol,
        currency=currency,
        accounts=tuple(
            _account(options, prices, symbol, currency, number)
            for number in range(1, options.accounts + 1)
        ),
    )


def _account_currency(symbol: SymbolSettings) -> str:
    """Choose a currency that the symbol's own prices convert into: USD where it can be."""
    if "USD" in (symbol.currency_base, symbol.currency_profit):
        return "USD"
    return symbol.currency_base


def _account(
    options: StressOptions,
    prices: PricePath,
    symbol: SymbolSettings,
    currency: str,
    number: int,
) -> PlannedAccount:
    random = Random(f"{options.seed}/account/{number}")
    low, high = options.leverage_range
    leverage = low + (high - low) * random.random()
    lot = _value_of_a_lot(prices, symbol, currency)
    # Room for the smallest lots: a deposit that is worth something in the symbol's own terms.
    smallest = lot * symbol.volume_min * options.positions / leverage
    deposit = float(max(10_000.0, _round_up(smallest * 20)) * (1 + random.randrange(10)))
    weights = [0.5 + random.random() for _ in range(options.positions)]
    exposure = leverage * deposit
    positions = []
    for weight in weights:
        side = Side.LONG if random.random() < LONG_SHARE else Side.SHORT
        lots = _whole_steps(exposure * weight / sum(weights) / lot, symbol)
        positions.append((side, lots))
    return PlannedAccount(
        user_id=f"user-{number:04d}",
        deposit=deposit,
        currency=currency,
        leverage=leverage,
        positions=tuple(positions),
    )


def _value_of_a_lot(prices: PricePath, symbol: SymbolSettings, currency: str) -> float:
    """Return one lot's notional value in the account's currency, at the first price."""
    if currency == symbol.currency_profit:
        return symbol.contract_size * prices.asks[0]
    return symbol.contract_size


def _whole_steps(lots: float, symbol: SymbolSettings) -> float:
    step = Decimal(repr(symbol.volume_step))
    whole = float((Decimal(repr(lots)) / step).to_integral_value(ROUND_DOWN) * step)
    return min(max(whole, symbol.volume_min), symbol.volume_max)


def _round_up(amount: float) -> float:
    """Round up to two significant digits."""
    magnitude = 10.0 ** max(0, math.floor(math.log10(amount)) - 1)
    return math.ceil(amount / magnitude) * magnitude
