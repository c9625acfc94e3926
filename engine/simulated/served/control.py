"""The operator's side: what a venue really executed, and what goes wrong there, at a word."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from engine.brokers.port import Side
from engine.simulated.served.exchange import VenueConnection
from engine.simulated.served.ledger import (
    AccountCounts,
    InFlight,
    ServedRequest,
    request_from_data,
)
from engine.simulated.served.protocol import LOOPBACK

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VenueBook:
    """One account's whole book. Structs are dicts with the binding's field names."""

    login: int
    symbol: str
    time_ms: int
    """Market time."""
    balance: float
    positions: tuple[Fields, ...]
    pending: tuple[Fields, ...]
    deals: tuple[Fields, ...]
    """All of them, oldest first, the deposit among them."""
    deals_us: tuple[int, ...]
    """Wall time of each of the deals: µs since 1970 at which the venue saw it done."""
    own_deals: tuple[int, ...]
    """Tickets of the deals that no client has asked for: opened by the plan or an operator."""
    requests: tuple[ServedRequest, ...]
    """In order of arrival."""


class VenueControl:
    """A connection to a venue for those who run it; any thread may use it.

    Every method raises :class:`OSError` when the venue is gone, and :class:`ValueError` when it
    refuses, saying why.
    """

    def __init__(
        self, port: int, token: str, *, host: str = LOOPBACK, timeout_s: float = 30.0
    ) -> None:
        """Connect.

        Args:
            port: The venue's port.
            token: Its token.
            host: Where it listens.
            timeout_s: How long an answer may take, in seconds.

        Raises:
            OSError: It cannot be reached.
            ValueError: The token is another's.
        """
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection = VenueConnection(host, port, {"token": token}, timeout_s=timeout_s)

    def _do(self, operation: str, **arguments: Any) -> Any:
        with self._lock:
            answer = self._connection.ask(operation, [], arguments, timeout_s=self._timeout_s)
        return answer["v"]

    def close(self) -> None:
        """Disconnect; the venue goes on."""
        self._connection.close()

    def counts(self) -> dict[int, AccountCounts]:
        """Count every account, by login, from its book: the truth, whatever was answered."""
        found = map(AccountCounts.from_data, self._do("counts"))
        return {counts.login: counts for counts in found}

    def in_flight(self, login: int | None = None) -> tuple[InFlight, ...]:
        """Return the requests whose clients wait for an answer now, of one account or of all.

        Cheaper than :meth:`counts`: made for asking again and again, to kill at that moment.
        """
        waiting = (InFlight(**data) for data in self._do("in_flight"))
        return tuple(entry for entry in waiting if login in (None, entry.login))

    def book(self, login: int) -> VenueBook:
        """Return an account's positions, orders, deals and requests."""
        data = self._do("book", login=login)
        return VenueBook(
            login=data["login"],
            symbol=data["symbol"],
            time_ms=data["time_ms"],
            balance=data["balance"],
            positions=tuple(data["positions"]),
            pending=tuple(data["pending"]),
            deals=tuple(data["deals"]),
            deals_us=tuple(data["deals_us"]),
            own_deals=tuple(data["own_deals"]),
            requests=tuple(map(request_from_data, data["requests"])),
        )

    def hang(self, login: int, seconds: float | None = None, *, holds_orders: bool = False) -> None:
        """Have an account's terminal answer nothing, on any connection.

        Args:
            login: The account.
            seconds: How long; ``None``: until :meth:`release`.
            holds_orders: Whether orders that arrive wait until then, too, and are executed then;
                else they are executed as ever, and only their answers wait.
        """
        self._do("hang", login=login, seconds=seconds, holds_orders=holds_orders)

    def release(self, login: int) -> None:
        """End a hang; harmless if there is none."""
        self._do("release", login=login)

    def go_down(self) -> None:
        """Drop all accounts' connections and refuse new ones; executions under way go on."""
        self._do("go_down")

    def come_up(self) -> None:
        """Let clients connect again."""
        self._do("come_up")

    def open_position(self, login: int, side: Side, lots: float) -> int:
        """Open a position that no client has asked for; return its ticket."""
        ticket: int = self._do("open_position", login=login, side=side.value, lots=lots)
        return ticket

    def place_pending(self, login: int, lots: float = 0.1) -> int:
        """Place a purchase at half the market's price; return its ticket."""
        ticket: int = self._do("place_pending", login=login, lots=lots)
        return ticket

    def close_by_hand(self, login: int, ticket: int) -> None:
        """Close a position as the account's owner would."""
        self._do("close_by_hand", login=login, ticket=ticket)
