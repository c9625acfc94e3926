"""The calls that read the market: symbols, ticks, and what quotes alone do not give."""

from __future__ import annotations

from engine.simulated.api_table import Struct
from engine.simulated.book import AccountBook
from engine.simulated.gate import CallGate, Structs
from engine.simulated.requests import InvalidArgument
from engine.simulated.selection import group_filter, to_name
from engine.simulated.structs import symbol_struct, tick_struct

_FAIL = -1
_NOT_FOUND = -4
_UNSUPPORTED = -7


class SymbolCalls(CallGate):
    """Functions about symbols, as the binding answers them."""

    __slots__ = ()

    def _is_selected(self, symbol: str) -> bool:
        return self._hidden_symbols is None or symbol not in self._hidden_symbols

    def symbol_info_tick(self, symbol: str) -> Struct | None:
        """Return a symbol's current tick; ``None`` and -4 if it is unknown or not selected."""
        if not self._enter("symbol_info_tick", None, symbol):
            return None
        slot = self._slot(symbol)
        if slot is None:
            return None
        if not self._is_selected(symbol):
            self._fail(_NOT_FOUND)
            return None
        return tick_struct(self._venue.cursor, slot)

    def symbol_info(self, symbol: str) -> Struct | None:
        """Return a symbol's specification; ``None`` and -4 if it is unknown."""
        if not self._enter("symbol_info", None, symbol):
            return None
        slot = self._slot(symbol)
        if slot is None:
            return None
        return symbol_struct(self._venue, slot, selected=self._is_selected(symbol))

    def symbols_total(self) -> int | None:
        """Count the market's symbols."""
        if not self._enter("symbols_total"):
            return None
        return len(self._venue.market.specs)

    def symbols_get(self, group: str | None = None) -> Structs | None:
        """Return the specifications of all symbols, or of those that the masks select."""
        if not self._enter("symbols_get"):
            return None
        try:
            selects = group_filter("*" if group is None else to_name(group, "group"))
        except InvalidArgument as error:
            self._fail_argument(error)
            return None
        return tuple(
            symbol_struct(self._venue, slot, selected=self._is_selected(spec.name))
            for slot, spec in enumerate(self._venue.market.specs)
            if selects(spec.name)
        )

    def symbol_select(self, symbol: str, enable: bool = True) -> bool:
        """Show or hide a symbol; a symbol with open positions or orders cannot be hidden."""
        if not self._enter("symbol_select", None, symbol):
            return False
        slot = self._slot(symbol)
        if slot is None:
            return False
        hidden = self._hidden_symbols or set()
        if enable:
            self._hidden_symbols = hidden - {symbol} or None
            return True
        if self._in_use(self._venue.book, slot):
            self._fail(_FAIL)
            return False
        self._hidden_symbols = hidden | {symbol}
        return True

    @staticmethod
    def _in_use(book: AccountBook, slot: int) -> bool:
        return any(position.slot == slot for position in book.positions.values()) or any(
            order.slot == slot for order in book.pending.values()
        )

    def market_book_add(self, symbol: str) -> bool:
        """Subscribe to a symbol's depth of market, which stays empty."""
        return self._enter("market_book_add", None, symbol) and self._slot(symbol) is not None

    def market_book_get(self, symbol: str) -> Structs | None:
        """Return a symbol's depth of market: always empty."""
        if not self._enter("market_book_get", None, symbol) or self._slot(symbol) is None:
            return None
        return ()

    def market_book_release(self, symbol: str) -> bool:
        """Unsubscribe from a symbol's depth of market."""
        return self._enter("market_book_release", None, symbol) and self._slot(symbol) is not None

    def _unsupported(self, call: str) -> None:
        if self._enter(call):
            self._fail(_UNSUPPORTED)

    def copy_ticks_from(self, *_args: object, **_keywords: object) -> None:
        """Fail with -7: arrays of ticks are not simulated."""
        self._unsupported("copy_ticks_from")

    def copy_ticks_range(self, *_args: object, **_keywords: object) -> None:
        """Fail with -7: arrays of ticks are not simulated."""
        self._unsupported("copy_ticks_range")

    def copy_rates_from(self, *_args: object, **_keywords: object) -> None:
        """Fail with -7: bars are not simulated."""
        self._unsupported("copy_rates_from")

    def copy_rates_from_pos(self, *_args: object, **_keywords: object) -> None:
        """Fail with -7: bars are not simulated."""
        self._unsupported("copy_rates_from_pos")

    def copy_rates_range(self, *_args: object, **_keywords: object) -> None:
        """Fail with -7: bars are not simulated."""
        self._unsupported("copy_rates_range")
