"""A fault plan at work in one terminal: what fires when, and which facts are hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from engine.simulated.api_table import Struct
from engine.simulated.faults import COMPANIONS, Fault, FaultKind, FaultPlan

_HIDING = (FaultKind.LATE_DEALS, FaultKind.LINGERING_POSITION)


@dataclass(slots=True)
class _Veil:
    """How long a fact stays hidden: for some reads and until some wall time, whichever is later."""

    reads_left: int
    until_wall_ms: float | None

    def holds(self, wall_ms: Callable[[], float] | None) -> bool:
        """Count one read and tell whether the fact is hidden from it."""
        if self.reads_left > 0:
            self.reads_left -= 1
            return True
        if self.until_wall_ms is None or wall_ms is None:
            return False
        return wall_ms() < self.until_wall_ms


class FaultInjector:
    """Decides for one terminal which faults of a plan fire, and hides what they hide."""

    __slots__ = ("_deals", "_fired", "_lingering", "_matched", "_plan", "_random", "_wall_ms")

    def __init__(
        self, plan: FaultPlan, seed: int, wall_ms: Callable[[], float] | None = None
    ) -> None:
        """Prepare a plan.

        Args:
            plan: The faults.
            seed: The terminal's own seed; together with the plan's it decides every draw.
            wall_ms: Wall time in milliseconds, from any origin.

        Raises:
            ValueError: A fault hides something for a wall time, and there is no ``wall_ms``.
        """
        if wall_ms is None:
            for fault in plan.faults:
                if fault.kind in _HIDING and fault.delay_ms:
                    raise ValueError(
                        f"delay_ms={fault.delay_ms!r} of {fault.kind} is wall time: give the "
                        f"terminal wall_ms=, or count in reads= instead"
                    )
        self._plan = plan
        self._random = Random(f"{plan.seed}:{seed}")
        self._wall_ms = wall_ms
        self._matched = [0] * len(plan.faults)
        self._fired = [0] * len(plan.faults)
        self._deals: dict[int, _Veil] = {}
        self._lingering: dict[int, tuple[Struct, _Veil]] = {}

    def fire(
        self, call: str, ticket: int | None, symbol: str | None, now_ms: int
    ) -> tuple[Fault | None, list[Fault]]:
        """Say which faults meet this call.

        Args:
            call: Name of the function.
            ticket: Position or pending order that the call names.
            symbol: Symbol that it names.
            now_ms: Market time.

        Returns:
            The one that decides the answer, if any (the first of the plan), and its companions.
        """
        decisive: Fault | None = None
        companions: list[Fault] = []
        for place, fault in enumerate(self._plan.faults):
            if fault.call not in (call, "*") or self._fired[place] >= fault.most_times:
                continue
            if fault.ticket is not None and fault.ticket != ticket:
                continue
            if fault.symbol is not None and fault.symbol != symbol:
                continue
            if fault.until_ms is not None and now_ms >= fault.until_ms:
                continue
            is_companion = fault.kind in COMPANIONS
            if decisive is not None and not is_companion:
                continue  # not counted either: this call is spoken for
            self._matched[place] += 1
            if fault.nth is not None and self._matched[place] < fault.nth:
                continue
            if fault.rate and self._random.random() >= fault.rate:
                continue
            self._fired[place] += 1
            if is_companion:
                companions.append(fault)
            else:
                decisive = fault
        return decisive, companions

    def _veil(self, fault: Fault) -> _Veil:
        until = None
        if fault.delay_ms and self._wall_ms is not None:
            until = self._wall_ms() + fault.delay_ms
        return _Veil(fault.reads or 0, until)

    def hide_deals(self, fault: Fault, deals: Iterable[Struct]) -> None:
        """Keep deals out of the history for as long as the fault says."""
        for deal in deals:
            self._deals[deal.ticket] = self._veil(fault)

    def let_linger(self, fault: Fault, position: Struct) -> None:
        """Keep a closed position in the list for as long as the fault says."""
        self._lingering[position.ticket] = (position, self._veil(fault))

    def visible_deals(self, deals: Iterable[Struct]) -> list[Struct]:
        """Count one read of deals and return those that it shows."""
        deals = list(deals)
        if self._deals:
            hidden = {t for t, veil in self._deals.items() if veil.holds(self._wall_ms)}
            self._deals = {t: veil for t, veil in self._deals.items() if t in hidden}
            deals = [deal for deal in deals if deal.ticket not in hidden]
        return deals

    def lingering_positions(self) -> list[Struct]:
        """Count one read of positions and return the closed ones that it still shows."""
        if not self._lingering:
            return []
        self._lingering = {
            ticket: (position, veil)
            for ticket, (position, veil) in self._lingering.items()
            if veil.holds(self._wall_ms)
        }
        return [position for position, _ in self._lingering.values()]
