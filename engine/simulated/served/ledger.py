"""What a venue knows of an account's requests, and what it counts in the account's book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from engine.simulated.api_table import Struct
from engine.simulated.numbers import Entry, Reason

_DUST = 1e-8
_TRADES = (0, 1)


@dataclass(slots=True)
class ServedRequest:
    """One ``order_send`` that has arrived, as often as it was delivered. Times: µs since 1970."""

    number: int
    """Of the account's requests, from 1; a duplicate has the number of what it repeats."""
    connection: int
    client_pid: int
    """As the client has told it."""
    arrived_us: int
    request: dict[str, Any]
    is_duplicate: bool = False
    is_lost: bool = False
    """Whether the venue has decided never to answer it."""
    executed_us: int | None = None
    """When the venue carried it out or refused it; ``None``: not yet."""
    retcode: int | None = None
    """What the execution gave; ``None`` with ``error`` if there was no result."""
    error: int | None = None
    deals: tuple[int, ...] = ()
    """Tickets of the deals that it brought about at once."""
    lots: float = 0.0
    """Volume of those deals."""
    answered_us: int | None = None
    closed_us: int | None = None
    """When its connection closed, if that was before the answer."""

    @property
    def is_in_flight(self) -> bool:
        """Whether a client still waits for the answer."""
        return self.answered_us is None and self.closed_us is None and not self.is_duplicate


@dataclass(frozen=True, slots=True)
class InFlight:
    """A request whose client waits for the answer now: the moment to kill it."""

    login: int
    connection: int
    client_pid: int
    number: int
    arrived_us: int


@dataclass(frozen=True, slots=True)
class InFlightAtDeath:
    """A request whose client was gone, without a goodbye, before it was answered."""

    login: int
    connection: int
    client_pid: int
    number: int
    arrived_us: int
    closed_us: int


@dataclass(frozen=True, slots=True)
class DoubleClose:
    """Volume that a close has moved though it was not open. There must be none."""

    login: int
    identifier: int
    """The position's, as its deals have it."""
    deal: int
    lots: float
    """What went too far."""
    comment: str


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """One account, counted. Lots and deals come from the book, whatever was answered."""

    login: int
    requests: int = 0
    """Arrived from clients; duplicates do not count."""
    duplicates: int = 0
    executed: int = 0
    """Deals that the clients' requests have brought about."""
    executed_lots: float = 0.0
    closes: int = 0
    """Those of them that took volume out of a position."""
    closed_lots: float = 0.0
    """Lots taken out by them."""
    closed_by_others: int = 0
    """Exit deals of the broker (SL, TP, stop-out) and by hand."""
    open_positions: int = 0
    open_lots: float = 0.0
    pending_orders: int = 0
    answered: int = 0
    answers_lost: int = 0
    late: int = 0
    """Answered before they were executed."""
    partial: int = 0
    """Met with less volume than there was, by the venue's behaviour."""
    in_flight: int = 0
    """Arrived, and a client waits for the answer now."""
    awaiting_execution: int = 0
    """Arrived and not yet carried out, their duplicates too."""
    in_flight_at_death: tuple[InFlightAtDeath, ...] = ()
    double_closes: tuple[DoubleClose, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Return all fields as plain data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> AccountCounts:
        """Read :meth:`to_data` back."""
        deaths = tuple(InFlightAtDeath(**death) for death in data["in_flight_at_death"])
        doubles = tuple(DoubleClose(**double) for double in data["double_closes"])
        return cls(**{**data, "in_flight_at_death": deaths, "double_closes": doubles})


@dataclass(slots=True)
class RequestLedger:
    """The requests of one account, in order of arrival, and who died waiting."""

    login: int
    requests: list[ServedRequest] = field(default_factory=list)
    deaths: list[InFlightAtDeath] = field(default_factory=list)
    own_deals: set[int] = field(default_factory=set)
    """Deals of the venue's own doing: opened by the plan, or at an operator's word."""
    late: int = 0
    partial: int = 0
    _next: int = 1

    def arrive(
        self, connection: int, client_pid: int, request: dict[str, Any], now_us: int
    ) -> ServedRequest:
        """Enter a request."""
        entry = ServedRequest(self._next, connection, client_pid, now_us, request)
        self._next += 1
        self.requests.append(entry)
        return entry

    def duplicate(self, of: ServedRequest, now_us: int) -> ServedRequest:
        """Enter the second delivery of a request."""
        entry = ServedRequest(
            of.number,
            of.connection,
            of.client_pid,
            now_us,
            of.request,
            is_duplicate=True,
            is_lost=of.is_lost,
        )
        self.requests.append(entry)
        return entry

    def connection_closed(self, connection: int, now_us: int, *, is_death: bool) -> None:
        """Note that a connection is gone; ``is_death`` if its client neither left nor was cut."""
        for entry in self.requests:
            if entry.connection != connection or not entry.is_in_flight:
                continue
            entry.closed_us = now_us
            if is_death:
                self.deaths.append(
                    InFlightAtDeath(
                        self.login,
                        connection,
                        entry.client_pid,
                        entry.number,
                        entry.arrived_us,
                        now_us,
                    )
                )

    def in_flight(self) -> list[InFlight]:
        """Return the requests whose clients wait for an answer."""
        return [
            InFlight(self.login, entry.connection, entry.client_pid, entry.number, entry.arrived_us)
            for entry in self.requests
            if entry.is_in_flight
        ]

    def count(
        self, deals: Sequence[Struct], positions: Sequence[Struct], pending: int
    ) -> AccountCounts:
        """Count the account, from its whole book."""
        first_hand = [entry for entry in self.requests if not entry.is_duplicate]
        trades = [deal for deal in deals if deal.type in _TRADES]
        ours = [
            deal
            for deal in trades
            if deal.reason == Reason.EXPERT and deal.ticket not in self.own_deals
        ]
        closes = [deal for deal in ours if deal.entry != Entry.IN]
        others = [
            deal
            for deal in trades
            if deal.entry != Entry.IN
            and (deal.reason != Reason.EXPERT or deal.ticket in self.own_deals)
        ]
        return AccountCounts(
            login=self.login,
            requests=len(first_hand),
            duplicates=len(self.requests) - len(first_hand),
            executed=len(ours),
            executed_lots=_lots(ours),
            closes=len(closes),
            closed_lots=_lots(closes),
            closed_by_others=len(others),
            open_positions=len(positions),
            open_lots=_lots(positions),
            pending_orders=pending,
            answered=sum(entry.answered_us is not None for entry in first_hand),
            answers_lost=sum(entry.is_lost for entry in first_hand),
            late=self.late,
            partial=self.partial,
            in_flight=sum(entry.is_in_flight for entry in first_hand),
            awaiting_execution=sum(entry.executed_us is None for entry in self.requests),
            in_flight_at_death=tuple(self.deaths),
            double_closes=tuple(self._double_closes(trades)),
        )

    def _double_closes(self, trades: Iterable[Struct]) -> Iterable[DoubleClose]:
        """Follow every position's volume through its deals.

        A close that finds nothing to close shows as an exit of more than was open, or, on a
        netting account, as a deal that opens (or turns) a position under a close's comment.
        """
        tags = {
            entry.request.get("comment")
            for entry in self.requests
            if entry.request.get("position") and entry.request.get("comment")
        }
        open_lots: dict[int, float] = {}
        for deal in trades:
            is_open = open_lots.get(deal.position_id, 0.0)
            too_far = 0.0
            if deal.entry == Entry.IN:
                left = is_open + deal.volume
                too_far = deal.volume if deal.comment in tags else 0.0
            else:
                left = is_open - deal.volume
                if left < -_DUST:
                    too_far = -left
                    # A reversal that nobody meant as a close is a trade like any other.
                    if deal.entry == Entry.INOUT and deal.comment not in tags:
                        too_far = 0.0
                left = abs(left) if deal.entry == Entry.INOUT else max(left, 0.0)
            open_lots[deal.position_id] = left
            if too_far > _DUST:
                yield DoubleClose(
                    self.login, deal.position_id, deal.ticket, round(too_far, 8), deal.comment
                )


def request_from_data(data: dict[str, Any]) -> ServedRequest:
    """Read a request as ``dataclasses.asdict`` has written it, and JSON has carried it."""
    known = {field.name for field in fields(ServedRequest)}
    values = {name: value for name, value in data.items() if name in known}
    return ServedRequest(**{**values, "deals": tuple(values["deals"])})


def _lots(entries: Iterable[Struct]) -> float:
    total: float = sum(entry.volume for entry in entries)
    return round(total, 8)
