"""What positions are worth and what they tie up: profit, margin, equity, in account currency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from engine.simulated.account import AccountSettings
from engine.simulated.book import AccountBook, OpenPosition
from engine.simulated.conversion import COINS, ROUND_UP, rate, to_money
from engine.simulated.market import Market, Quotes
from engine.simulated.numbers import CalcMode, StopOutMode


class MarginState(StrEnum):
    """Where an account stands against the broker's levels."""

    FINE = "fine"
    MARGIN_CALL = "margin call"
    STOP_OUT = "stop-out"


@dataclass(frozen=True, slots=True)
class Standing:
    """An account's figures at one moment, in its currency."""

    balance: float
    credit: float
    profit: float
    """Open profit of all positions, their swap included: balance + credit + profit = equity."""
    equity: float
    margin: float

    @property
    def margin_free(self) -> float:
        """Equity that no position ties up."""
        return self.equity - self.margin

    @property
    def margin_level(self) -> float:
        """Equity over margin in per cent; 0.0 without margin, as the terminal shows it."""
        return self.equity / self.margin * 100 if self.margin else 0.0

    def state(self, account: AccountSettings) -> MarginState:
        """Compare with the account's levels; without margin nothing is called."""
        if not self.margin:
            return MarginState.FINE
        percent = account.stop_out_mode is StopOutMode.PERCENT
        level = self.margin_level if percent else self.equity
        if account.stop_out and level < account.stop_out:
            return MarginState.STOP_OUT
        if account.margin_call and level < account.margin_call:
            return MarginState.MARGIN_CALL
        return MarginState.FINE


class Valuation:
    """Values positions of one market in one account's currency."""

    __slots__ = ("_account", "_conversions", "_margin", "_margin_revision", "_specs")

    def __init__(self, market: Market, account: AccountSettings) -> None:
        """Prepare.

        Raises:
            ValueError: A symbol's currency cannot be converted into the account's.
        """
        self._specs = market.specs
        self._account = account
        self._conversions = market.conversions(account.currency)
        self._margin = 0.0
        self._margin_revision = -1

    def profit(
        self, slot: int, sign: int, volume: float, opened: float, closed: float, prices: Quotes
    ) -> float:
        """Return the profit of ``volume`` lots between two prices, rounded to the currency."""
        raw = closed - opened if sign > 0 else opened - closed
        raw *= self._specs[slot].contract_size * volume
        route = self._conversions.profit[slot]
        if route:
            raw *= rate(route, prices, sold=raw > 0)
        return to_money(raw, self._account.currency_digits)

    def open_profit(self, position: OpenPosition, prices: Quotes) -> float:
        """Return what closing the whole position now would realise, without its swap."""
        slot = position.slot
        closing = prices.bid(slot) if position.sign > 0 else prices.ask(slot)
        return self.profit(
            slot, position.sign, position.volume, position.price_open, closing, prices
        )

    def floating(self, positions: Iterable[OpenPosition], prices: Quotes) -> float:
        """Return the open profit of positions, their swap included."""
        digits = self._account.currency_digits
        coins = COINS[digits]
        total = 0.0
        slot = -1
        bid = ask = contract = gain_rate = loss_rate = 1.0
        for position in positions:
            if position.slot != slot:
                slot = position.slot
                bid, ask = prices.bid(slot), prices.ask(slot)
                contract = self._specs[slot].contract_size
                route = self._conversions.profit[slot]
                gain_rate = rate(route, prices, sold=True) if route else 1.0
                loss_rate = rate(route, prices, sold=False) if route else 1.0
            if position.sign > 0:
                raw = (bid - position.price_open) * contract * position.volume
            else:
                raw = (position.price_open - ask) * contract * position.volume
            # to_money(), written out: this is the loop that runs at every tick.
            if raw > 0:
                total += int(raw * gain_rate * coins + ROUND_UP) / coins + position.swap
            else:
                total += int(raw * loss_rate * coins - ROUND_UP) / coins + position.swap
        return round(total, digits)

    def margin_per_lot(self, slot: int, sign: int, price: float, prices: Quotes) -> float:
        """Return what one lot opened at ``price`` ties up, not rounded."""
        spec = self._specs[slot]
        mode = spec.calc_mode
        basis = spec.margin_initial or spec.contract_size
        if mode is CalcMode.FOREX:
            amount = basis / self._account.leverage
        elif mode is CalcMode.FOREX_NO_LEVERAGE:
            amount = basis
        elif mode is CalcMode.FUTURES:
            amount = spec.margin_initial
        else:
            amount = spec.margin_initial or spec.contract_size * price
            if mode is CalcMode.CFDLEVERAGE:
                amount /= self._account.leverage
        route = self._conversions.margin[slot]
        if route:
            amount *= rate(route, prices, sold=sign < 0)
        return amount * spec.margin_rate

    def order_margin(self, slot: int, sign: int, volume: float, prices: Quotes) -> float:
        """Return what ``volume`` lots bought or sold now would tie up on their own, rounded."""
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        return to_money(
            self.margin_per_lot(slot, sign, price, prices) * volume, self._account.currency_digits
        )

    def margin_of(self, legs: Iterable[tuple[int, int, float, float]]) -> float:
        """Return the margin of positions together.

        The larger direction of a symbol is charged for what it exceeds the other, at its average
        margin per lot; hedged lots are charged once, at the average of both directions, by the
        symbol's hedged margin.

        Args:
            legs: Slot, sign, volume and margin per lot of each position.
        """
        sides: dict[int, list[float]] = {}
        for slot, sign, volume, per_lot in legs:
            side = sides.get(slot)
            if side is None:
                side = sides[slot] = [0.0, 0.0, 0.0, 0.0]
            at = 0 if sign > 0 else 2
            side[at] += volume
            side[at + 1] += volume * per_lot
        total = 0.0
        for slot, (long, long_sum, short, short_sum) in sides.items():
            if long and short:
                hedged = min(long, short)
                larger, larger_sum = (long, long_sum) if long > short else (short, short_sum)
                amount = (larger - hedged) * larger_sum / larger
                share = self._specs[slot].hedged_share
                amount += hedged * share * (long_sum + short_sum) / (long + short)
            else:
                amount = long_sum + short_sum
            total += to_money(amount, self._account.currency_digits)
        return round(total, self._account.currency_digits)

    def margin(self, book: AccountBook) -> float:
        """Return the margin of all open positions; it is fixed when they are opened."""
        if self._margin_revision != book.revision:
            self._margin = self.margin_of(
                (p.slot, p.sign, p.volume, p.margin_per_lot) for p in book.positions.values()
            )
            self._margin_revision = book.revision
        return self._margin

    def standing(self, book: AccountBook, prices: Quotes) -> Standing:
        """Return the account's figures at these prices."""
        profit = self.floating(book.positions.values(), prices)
        equity = round(book.balance + book.credit + profit, self._account.currency_digits)
        return Standing(book.balance, book.credit, profit, equity, self.margin(book))
