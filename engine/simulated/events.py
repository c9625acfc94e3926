"""What prices and time do to an account by themselves: SL, TP, pending orders, swap, stop-out."""

from __future__ import annotations

from engine.simulated.book import AccountBook, OpenPosition
from engine.simulated.conversion import rate, to_money
from engine.simulated.fills import Fills
from engine.simulated.market import Market, Quotes
from engine.simulated.numbers import Reason, StopOutMode, SwapMode
from engine.simulated.pending import PendingDesk
from engine.simulated.sessions import day_of_week, is_open
from engine.simulated.valuation import MarginState, Standing, Valuation

_DAY_MS = 86_400_000
_INTEREST_YEAR = 360
_WEEKEND = (0, 6)


class Events:
    """Applies a tick's consequences to one account, in the broker's order.

    First stops, then pending orders, then the stop-out. Everything executes at the tick's own
    price, so a gap through a stop is paid in full. Outside a symbol's sessions nothing executes.
    """

    __slots__ = ("_book", "_conversions", "_fills", "_market", "_pending", "_valuation")

    def __init__(
        self,
        market: Market,
        book: AccountBook,
        valuation: Valuation,
        fills: Fills,
        pending: PendingDesk,
    ) -> None:
        """Join what the prices act on."""
        self._market = market
        self._book = book
        self._valuation = valuation
        self._fills = fills
        self._pending = pending
        self._conversions = market.conversions(book.account.currency)

    def on_tick(self, slot: int, prices: Quotes) -> None:
        """Apply a tick of the symbol in ``slot``; ``prices`` stand at it."""
        book = self._book
        if not book.positions and not book.pending:
            return
        sessions = self._market.specs[slot].sessions
        if sessions is None or is_open(sessions, prices.time_ms):
            for position in [
                p for p in book.positions.values() if (p.sl or p.tp) and p.slot == slot
            ]:
                self._fire_stop(position, prices)
            if book.pending:
                self._pending.on_tick(slot, prices)
        if book.account.stop_out and book.positions:
            self.stop_out(prices)

    def _fire_stop(self, position: OpenPosition, prices: Quotes) -> None:
        slot, sign = position.slot, position.sign
        closing = prices.bid(slot) if sign > 0 else prices.ask(slot)
        digits = self._market.specs[slot].digits
        if position.sl and (position.sl - closing) * sign >= 0:
            comment = f"[sl {position.sl:.{digits}f}]"
            self._fills.close_at_once(position, prices, Reason.SL, comment)
        elif position.tp and (closing - position.tp) * sign >= 0:
            comment = f"[tp {position.tp:.{digits}f}]"
            self._fills.close_at_once(position, prices, Reason.TP, comment)

    def stop_out(self, prices: Quotes) -> None:
        """Close positions, the largest loss first, until the account is above its level.

        Positions of symbols outside their sessions cannot be closed and stay.
        """
        book, account = self._book, self._book.account
        while book.positions:
            standing = self._valuation.standing(book, prices)
            if standing.state(account) is not MarginState.STOP_OUT:
                return
            closable = [
                p
                for p in book.positions.values()
                if is_open(self._market.specs[p.slot].sessions, prices.time_ms)
            ]
            if not closable:
                return
            worst = min(closable, key=lambda p: self._valuation.open_profit(p, prices) + p.swap)
            self._fills.close_at_once(worst, prices, Reason.SO, self._stop_out_comment(standing))

    def _stop_out_comment(self, standing: Standing) -> str:
        if self._book.account.stop_out_mode is StopOutMode.PERCENT:
            return f"[so {standing.margin_level:.2f}%]"
        return f"[so {standing.equity:.{self._book.account.currency_digits}f}]"

    def roll_over(self, before_ms: int, after_ms: int, prices: Quotes) -> None:
        """Charge the swap of every midnight after ``before_ms`` up to ``after_ms``.

        The end of Saturday and of Sunday costs nothing; the symbol's triple day counts three.
        ``prices`` are the last ones before.
        """
        for day in range(before_ms // _DAY_MS, after_ms // _DAY_MS):
            if not self._book.positions:
                return
            weekday = day_of_week(day * _DAY_MS)
            for position in self._book.positions.values():
                spec = self._market.specs[position.slot]
                nights = 0 if weekday in _WEEKEND else 1
                if weekday == spec.swap_rollover3days:
                    nights = 3
                if nights:
                    position.swap = round(
                        position.swap + self._swap(position, nights, prices),
                        self._book.account.currency_digits,
                    )
            self._book.revision += 1

    def _swap(self, position: OpenPosition, nights: int, prices: Quotes) -> float:
        slot = position.slot
        spec = self._market.specs[slot]
        quoted = spec.swap_long if position.sign > 0 else spec.swap_short
        units = position.volume * spec.contract_size
        route = self._conversions.profit[slot]
        match spec.swap_mode:
            case SwapMode.DISABLED:
                return 0.0
            case SwapMode.POINTS:
                amount = units * spec.point * quoted
            case SwapMode.CURRENCY_DEPOSIT:
                amount, route = position.volume * quoted, ()
            case SwapMode.CURRENCY_MARGIN:
                amount, route = position.volume * quoted, self._conversions.margin[slot]
            case SwapMode.CURRENCY_SYMBOL:
                amount = position.volume * quoted
                route = self._conversions.needed(spec, spec.currency_base)
            case SwapMode.INTEREST_CURRENT | SwapMode.INTEREST_OPEN:
                price = prices.bid(slot) if position.sign > 0 else prices.ask(slot)
                if spec.swap_mode is SwapMode.INTEREST_OPEN:
                    price = position.price_open
                amount = units * price * quoted / 100 / _INTEREST_YEAR
        amount *= nights
        if route:
            amount *= rate(route, prices, sold=amount > 0)
        return to_money(amount, self._book.account.currency_digits)
