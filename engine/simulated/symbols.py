"""How a symbol is traded: contract, volumes, currencies, execution, stops, swap, commission."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from engine.simulated.numbers import (
    CalcMode,
    Execution,
    Filling,
    FillingMask,
    OrderMask,
    SwapMode,
    TradeMode,
)
from engine.simulated.sessions import Session


@dataclass(frozen=True)
class SymbolSettings:
    """The specification of one symbol, as a broker sets it.

    The defaults are those of a currency pair on market execution, open around the clock, without
    swap, commission or minimal distances.

    Raises:
        ValueError: A value is outside what the field allows; the message names it.
    """

    name: str
    digits: int
    """Decimals of a price; one point is ``10 ** -digits`` and also the tick size."""
    currency_base: str
    currency_profit: str
    currency_margin: str
    contract_size: float = 100_000.0
    """Units in one lot."""
    volume_min: float = 0.01
    volume_max: float = 500.0
    volume_step: float = 0.01
    volume_limit: float = 0.0
    """Lots open and pending in one direction at most; 0 for no limit (else 10034)."""
    calc_mode: CalcMode = CalcMode.FOREX
    execution: Execution = Execution.MARKET
    filling: FillingMask = FillingMask.FOK | FillingMask.IOC
    orders: OrderMask = OrderMask.ALL
    trade_mode: TradeMode = TradeMode.FULL
    sessions: tuple[Session, ...] | None = None
    """When the symbol can be traded (else 10018); ``None``: whenever there are prices."""
    stops_level: int = 0
    """Points that SL, TP and pending prices must keep from the market (else 10016, 10015)."""
    freeze_level: int = 0
    """Points from SL, TP or pending price within which nothing can be changed (else 10029)."""
    swap_mode: SwapMode = SwapMode.POINTS
    swap_long: float = 0.0
    swap_short: float = 0.0
    swap_rollover3days: int = 3
    """Day of the week at whose end three days of swap are due (Sunday 0)."""
    commission_per_lot: float = 0.0
    """What one lot costs on each side, in the account's currency."""
    margin_initial: float = 0.0
    """Margin of one lot in the margin currency; 0: derived from the contract (futures need it)."""
    margin_rate: float = 1.0
    """Factor on the margin (``SYMBOL_MARGIN_INITIAL`` rate of the symbol's specification)."""
    margin_hedged: float | None = None
    """Contract size that covers a hedged lot, both legs together; ``None``: a whole contract."""
    description: str = ""

    def __post_init__(self) -> None:
        """Check every field that arithmetic depends on."""
        if not self.name:
            raise ValueError("name='' of a symbol is empty; give the broker's name, as 'EURUSD'")
        if not 0 <= self.digits <= 8:
            raise ValueError(f"{self.name}: digits={self.digits!r} must be 0 to 8")
        for currency in ("currency_base", "currency_profit", "currency_margin"):
            if not getattr(self, currency):
                raise ValueError(f"{self.name}: {currency} is empty; give a code such as 'USD'")
        for positive in ("contract_size", "volume_min", "volume_max", "volume_step", "margin_rate"):
            self._require(positive, above_zero=True)
        for natural in ("volume_limit", "stops_level", "freeze_level", "commission_per_lot"):
            self._require(natural, above_zero=False)
        if self.volume_min > self.volume_max:
            raise ValueError(
                f"{self.name}: volume_min={self.volume_min!r} is above "
                f"volume_max={self.volume_max!r}"
            )
        if self.calc_mode is CalcMode.FUTURES and self.margin_initial <= 0:
            raise ValueError(
                f"{self.name}: margin_initial={self.margin_initial!r} must be above 0 "
                f"when calc_mode is FUTURES"
            )

    def _require(self, name: str, *, above_zero: bool) -> None:
        value = getattr(self, name)
        if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
            bound = "above 0" if above_zero else "0 or above"
            raise ValueError(f"{self.name}: {name}={value!r} must be a finite number, {bound}")

    @cached_property
    def point(self) -> float:
        """The smallest step of a price."""
        return float(f"1e-{self.digits}")

    @cached_property
    def order_bits(self) -> int:
        """``orders`` as a plain number: flag arithmetic is slow, and every order asks."""
        return int(self.orders)

    @cached_property
    def market_fillings(self) -> frozenset[int]:
        """Filling policies for market orders.

        Request and instant execution take any but BOC; RETURN of a market order does not exist on
        market execution.
        """
        if self.execution in (Execution.REQUEST, Execution.INSTANT):
            return frozenset({int(Filling.FOK), int(Filling.IOC), int(Filling.RETURN)})
        fillings = self._masked_fillings()
        return (
            fillings | {int(Filling.RETURN)} if self.execution is Execution.EXCHANGE else fillings
        )

    @cached_property
    def pending_fillings(self) -> frozenset[int]:
        """Filling policies for pending orders, which may always rest (RETURN)."""
        boc = {int(Filling.BOC)} if FillingMask.BOC in self.filling else set()
        return self._masked_fillings() | {int(Filling.RETURN)} | boc

    def _masked_fillings(self) -> frozenset[int]:
        pairs = ((FillingMask.FOK, Filling.FOK), (FillingMask.IOC, Filling.IOC))
        return frozenset(int(filling) for bit, filling in pairs if bit in self.filling)

    @cached_property
    def hedged_share(self) -> float:
        """Margin of a hedged lot over that of a lot open in one direction."""
        return 1.0 if self.margin_hedged is None else self.margin_hedged / self.contract_size

    def steps(self, volume: float) -> int | None:
        """Count the volume steps in ``volume``; ``None`` when it is no multiple of the step."""
        count = volume / self.volume_step
        nearest = round(count)
        return nearest if abs(count - nearest) < 1e-6 else None


_CURRENCY_CODES = (
    "USD EUR GBP JPY CHF AUD NZD CAD SEK NOK DKK PLN CZK HUF TRY ZAR MXN SGD HKD CNH CNY ILS THB "
    "RON BRL INR KRW"
)
_CURRENCIES = frozenset(_CURRENCY_CODES.split())

_ORDINARY_PAIRS = (
    "EURUSD GBPUSD AUDUSD NZDUSD USDJPY USDCHF USDCAD EURCHF EURJPY EURGBP GBPJPY GBPCHF AUDJPY "
    "CHFJPY CADJPY EURAUD EURCAD EURNZD GBPAUD GBPCAD AUDCAD AUDNZD NZDJPY"
)


def _pair(name: str) -> SymbolSettings:
    base, quote = name[:3], name[3:]
    digits = 3 if quote in {"JPY", "HUF"} else 5
    return SymbolSettings(name, digits, base, quote, base, description=f"{base} against {quote}")


def _cfd(
    name: str, digits: int, base: str, quote: str, contract: float, what: str
) -> SymbolSettings:
    return SymbolSettings(
        name,
        digits,
        base,
        quote,
        quote,
        contract_size=contract,
        calc_mode=CalcMode.CFDLEVERAGE,
        description=what,
    )


CATALOGUE: dict[str, SymbolSettings] = {
    settings.name: settings
    for settings in (
        *(_pair(name) for name in _ORDINARY_PAIRS.split()),
        _cfd("XAUUSD", 2, "XAU", "USD", 100.0, "Gold, 100 troy ounces"),
        _cfd("XAGUSD", 3, "XAG", "USD", 5_000.0, "Silver, 5,000 troy ounces"),
        _cfd("BTCUSD", 2, "BTC", "USD", 1.0, "Bitcoin"),
        _cfd("ETHUSD", 2, "ETH", "USD", 1.0, "Ether"),
        _cfd("US500", 1, "USD", "USD", 10.0, "US 500 index"),
        _cfd("US30", 1, "USD", "USD", 1.0, "US 30 index"),
        _cfd("GER40", 1, "EUR", "EUR", 1.0, "Germany 40 index"),
        _cfd("UK100", 1, "GBP", "GBP", 1.0, "UK 100 index"),
        _cfd("JPN225", 0, "JPY", "JPY", 100.0, "Japan 225 index"),
    )
}
"""Settings of common symbols; CFDs here charge margin on their value over the leverage."""


def symbol_settings(name: str, digits: int | None = None) -> SymbolSettings:
    """Return sensible settings for a symbol, with ``digits`` decimals if given.

    Known symbols come from :data:`CATALOGUE`; any other name of six letters made of two known
    currencies is set up as a currency pair.

    Raises:
        ValueError: The name is neither; describe such a symbol with :class:`SymbolSettings`.
    """
    settings = CATALOGUE.get(name)
    if settings is None:
        if name[:3] not in _CURRENCIES or name[3:] not in _CURRENCIES:
            raise ValueError(
                f"symbol {name!r} is neither in the catalogue ({', '.join(sorted(CATALOGUE))}) nor "
                f"a pair of two known currencies; describe it with SymbolSettings(name={name!r}, "
                f"digits=..., currency_base=..., currency_profit=..., currency_margin=...)"
            )
        settings = _pair(name)
    return settings if digits is None else replace(settings, digits=digits)
