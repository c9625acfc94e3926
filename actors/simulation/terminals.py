"""The venue's terminal of one account: the simulated one, its faults armed while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.simulated.account import AccountSettings
from engine.simulated.fault_injection import FaultInjector
from engine.simulated.faults import COMPANIONS, Fault, FaultKind, FaultPlan
from engine.simulated.market import Market
from engine.simulated.numbers import Action, Filling, OrderType, Reason, Retcode
from engine.simulated.terminal import SimulatedTerminal

_HANGS = (FaultKind.HANG, FaultKind.HANG_AFTER_EXECUTION)


class LiveFaults(FaultInjector):
    """Faults that are armed one by one; each strikes the next call that it matches, once.

    A closed market strikes every order for its symbol until it opens.

    Args:
        seed: of the draws that hiding a fact needs.
        wall_ms: time, for facts that are hidden for a while.
        struck: told of every fault at the moment it strikes.
    """

    __slots__ = ("_armed", "_struck")

    def __init__(
        self, seed: int, wall_ms: Callable[[], float], struck: Callable[[Fault], None]
    ) -> None:
        """Begin with nothing armed."""
        super().__init__(FaultPlan(), seed, wall_ms)
        self._armed: list[Fault] = []
        self._struck = struck

    def arm(self, fault: Fault) -> None:
        """Let ``fault`` strike the next call that it matches."""
        self._armed.append(fault)

    def calm(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def take_hang(self, call: str) -> Fault | None:
        """Return the hang that strikes this call, if one does; the caller plays it."""
        for fault in self._armed:
            if fault.kind in _HANGS and fault.call in (call, "*"):
                self._armed.remove(fault)
                self._struck(fault)
                return fault
        return None

    def fire(
        self, call: str, ticket: int | None, symbol: str | None, now_ms: int
    ) -> tuple[Fault | None, list[Fault]]:
        """Say which armed faults strike this call; see the base class."""
        if not self._armed:
            return None, []
        decisive: Fault | None = None
        companions: list[Fault] = []
        for fault in list(self._armed):
            if fault.until_ms is not None and now_ms >= fault.until_ms:
                self._armed.remove(fault)
                continue
            if fault.kind in _HANGS or fault.call not in (call, "*"):
                continue
            if fault.symbol is not None and fault.symbol != symbol:
                continue
            is_companion = fault.kind in COMPANIONS
            if decisive is not None and not is_companion:
                continue
            if fault.until_ms is None:
                self._armed.remove(fault)
            self._struck(fault)
            if is_companion:
                companions.append(fault)
            else:
                decisive = fault
        return decisive, companions


class VenueTerminal(SimulatedTerminal):
    """A simulated terminal that also takes its owner's own acts, past all faults."""

    __slots__ = ()

    def __init__(self, market: Market, account: AccountSettings, faults: LiveFaults) -> None:
        """Open the account; ``faults`` strike the engine's calls."""
        super().__init__(market, account)
        self._injector = faults

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        connected, self._connected = self._connected, True
        try:
            with self.without_faults():
                yield
        finally:
            self._connected = connected

    def open_by_hand(self, symbol: str, sign: int, volume: float, sl: float = 0.0) -> int | None:
        """Open a position, or enlarge or reduce a net one; returns the order's ticket."""
        with self._by_hand():
            answer = self.order_send(
                {
                    "action": int(Action.DEAL),
                    "symbol": symbol,
                    "volume": volume,
                    "type": int(OrderType.BUY if sign > 0 else OrderType.SELL),
                    "type_filling": int(Filling.FOK),
                    "sl": sl,
                }
            )
        return answer.order if answer is not None and answer.retcode == Retcode.DONE else None

    def place_by_hand(self, symbol: str, sign: int, volume: float, price: float) -> int | None:
        """Place a limit order; returns its ticket."""
        with self._by_hand():
            answer = self.order_send(
                {
                    "action": int(Action.PENDING),
                    "symbol": symbol,
                    "volume": volume,
                    "type": int(OrderType.BUY_LIMIT if sign > 0 else OrderType.SELL_LIMIT),
                    "type_filling": int(Filling.RETURN),
                    "price": price,
                }
            )
        return answer.order if answer is not None and answer.retcode == Retcode.DONE else None

    def close_by_hand(self, ticket: int) -> None:
        """Close a position; nothing happens if it is not open."""
        self._venue.close_in_between(ticket, Reason.CLIENT)

    def deposit(self, amount: float) -> None:
        """Pay money in."""
        self.book.balance = round(self.book.balance + amount, 2)
        self.book.revision += 1

    def bid_ask(self, symbol: str) -> tuple[float, float]:
        """Read the present prices, past all faults."""
        slot = self.market.slot(symbol)
        assert slot is not None
        return self._venue.cursor.bid(slot), self._venue.cursor.ask(slot)
