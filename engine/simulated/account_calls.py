"""The calls that read the account: its state, positions, orders and history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from engine.simulated.api_table import PACKAGE_VERSION, Struct
from engine.simulated.gate import CallGate, Structs
from engine.simulated.requests import InvalidArgument
from engine.simulated.selection import group_filter, to_name, to_span, to_ticket
from engine.simulated.structs import (
    account_struct,
    order_struct,
    position_struct,
    terminal_struct,
)


class AccountCalls(CallGate):
    """Functions about the account, as the binding answers them."""

    __slots__ = ()

    def version(self) -> tuple[int, int, str] | None:
        """Return the terminal's version, build and release date; a simulation has no date."""
        if not self._enter("version"):
            return None
        major, _, build = PACKAGE_VERSION.partition(".")
        return (int(major) * 100, int(build.rpartition(".")[2]), "simulated")

    def terminal_info(self) -> Struct | None:
        """Return the terminal's state."""
        if not self._enter("terminal_info"):
            return None
        return terminal_struct(self._venue, latency_ms=self._latency_ms)

    def account_info(self) -> Struct | None:
        """Return the account; ``profit`` holds open profit and swap of all positions."""
        if not self._enter("account_info"):
            return None
        venue = self._venue
        changes, revision = venue.cursor.changes, venue.book.revision
        cached = self._account_cache
        if cached is not None and cached[0] == changes and cached[1] == revision:
            return cached[2]
        struct = account_struct(venue)
        self._account_cache = (changes, revision, struct)
        return struct

    def positions_total(self) -> int | None:
        """Count the open positions, as :meth:`positions_get` shows them."""
        if not self._enter_read("positions_total"):
            return None
        return len(self._venue.book.positions) + len(self._lingering())

    def _lingering(self) -> list[Struct]:
        """Return the closed positions that this read still shows; none is in the book."""
        gone = () if self._injector is None else self._injector.lingering_positions()
        return [struct for struct in gone if struct.ticket not in self._venue.book.positions]

    def positions_get(self, **keywords: Any) -> Structs | None:
        """Return open positions: by ``symbol=``, ``group=`` or ``ticket=``, else all of them.

        Keywords only; a keyword of another name is ignored, so a misspelt one returns all.
        """
        ticket = keywords.get("ticket")
        if not self._enter_read("positions_get", ticket, keywords.get("symbol")):
            return None
        venue = self._venue
        book = venue.book
        gone = self._lingering()
        if ticket is not None and not gone and "symbol" not in keywords and "group" not in keywords:
            if type(ticket) is not int:
                self._fail_argument(InvalidArgument("ticket"))
                return None
            position = book.positions.get(ticket)
            return () if position is None else (position_struct(position, venue),)
        found = [position_struct(position, venue) for position in book.positions.values()]
        found += gone
        return self._select(found, keywords)

    def orders_total(self) -> int | None:
        """Count the pending orders."""
        if not self._enter("orders_total"):
            return None
        return len(self._venue.book.pending)

    def orders_get(self, **keywords: Any) -> Structs | None:
        """Return pending orders: by ``symbol=``, ``group=`` or ``ticket=``, else all of them."""
        if not self._enter("orders_get", keywords.get("ticket"), keywords.get("symbol")):
            return None
        prices = self._venue.cursor
        found = [order_struct(order, prices) for order in self._venue.book.pending.values()]
        return self._select(found, keywords)

    def _select(self, found: list[Struct], keywords: dict[str, Any]) -> Structs | None:
        try:
            if keywords.get("symbol") is not None:
                name = to_name(keywords["symbol"], "symbol")
                return tuple(struct for struct in found if struct.symbol == name)
            if keywords.get("group") is not None:
                selects = group_filter(to_name(keywords["group"], "group"))
                return tuple(struct for struct in found if selects(struct.symbol))
            if keywords.get("ticket") is not None:
                ticket = to_ticket(keywords["ticket"])
                return tuple(struct for struct in found if struct.ticket == ticket)
        except InvalidArgument as error:
            self._fail_argument(error)
            return None
        return tuple(found)

    def history_deals_get(self, *dates: object, **keywords: Any) -> Structs | None:
        """Return deals: of a span (with ``group=``), of an order, or of a position.

        Args:
            *dates: First and last moment, both included; with them only ``group=`` counts.
            **keywords: ``ticket=`` (of the *order*), ``position=`` or ``group=``.
        """
        position = keywords.get("position")
        if not self._enter_read("history_deals_get", position or keywords.get("ticket")):
            return None
        book = self._venue.book
        found: Iterable[Struct] | None
        if type(position) is int and not dates and "ticket" not in keywords:
            found = book.deals_by_position.get(position, ())
        else:
            found = self._history(book.deals, "time", "order", dates, keywords)
        if found is not None and self._injector is not None:
            found = self._injector.visible_deals(found)
        return None if found is None else tuple(found)

    def history_deals_total(self, *dates: object) -> int | None:
        """Count the deals between two dates."""
        if not self._enter_read("history_deals_total"):
            return None
        found = self._history(self._venue.book.deals, "time", "order", dates, {})
        if found is not None and self._injector is not None:
            found = self._injector.visible_deals(found)
        return None if found is None else len(found)

    def history_orders_get(self, *dates: object, **keywords: Any) -> Structs | None:
        """Return finished orders; arguments as of :meth:`history_deals_get`."""
        named = keywords.get("position") or keywords.get("ticket")
        if not self._enter("history_orders_get", named):
            return None
        found = self._history(self._venue.book.orders, "time_done", "ticket", dates, keywords)
        return None if found is None else tuple(found)

    def history_orders_total(self, *dates: object) -> int | None:
        """Count the finished orders between two dates."""
        if not self._enter("history_orders_total"):
            return None
        found = self._history(self._venue.book.orders, "time_done", "ticket", dates, {})
        return None if found is None else len(found)

    def _history(
        self,
        entries: list[Struct],
        time_field: Literal["time", "time_done"],
        ticket_field: Literal["order", "ticket"],
        dates: tuple[object, ...],
        keywords: dict[str, Any],
    ) -> list[Struct] | None:
        try:
            if not dates and keywords.get("ticket") is not None:
                order = to_ticket(keywords["ticket"])
                return [entry for entry in entries if getattr(entry, ticket_field) == order]
            if not dates and keywords.get("position") is not None:
                position = to_ticket(keywords["position"], "position")
                return [entry for entry in entries if entry.position_id == position]
            since, until = to_span(dates)
            found = [entry for entry in entries if since <= getattr(entry, time_field) <= until]
            if keywords.get("group") is not None:
                selects = group_filter(to_name(keywords["group"], "group"))
                found = [entry for entry in found if selects(entry.symbol)]
        except InvalidArgument as error:
            self._fail_argument(error)
            return None
        return found
