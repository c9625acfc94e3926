"""Which stretches of a run no fault touches, as seen from one account: a disk may be ill."""

from __future__ import annotations

from collections.abc import Iterable

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.history import Event

LINGERS_S = 5.0
"""So long after it struck, a fault still counts: a hang, a silence and a lease last."""

OF_A_MESSAGE_LINGERS_S = 1.0
"""A message that was overtaken or came twice does what it does within this time."""

_OF_THE_DISK = frozenset(
    {
        Disturbance.JOURNAL_SLOW.value,
        Disturbance.JOURNAL_FULL.value,
        Disturbance.JOURNAL_FAILING.value,
        Disturbance.STORE_SLOW.value,
        Disturbance.STORE_AWAY.value,
        Disturbance.STORE_FULL.value,
    }
)
_OF_A_MESSAGE = frozenset({Disturbance.MESSAGE_REORDERED.value, Disturbance.MESSAGE_DOUBLED.value})
_LIVES = ("born", "killed", "lost", "watchdog")
_OF_A_CLOCK = "skew"


class Troubles:
    """When something touched an account, or the engine as a whole.

    Deaths and births count, too: while a process starts again its account is not at its best.

    Args:
        events: of the whole run, in order of time.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        """Sort the events by account."""
        self._lasting_us: dict[str, list[tuple[int, int]]] = {}
        for event in events:
            lingers_s = _lingers_s(event)
            if lingers_s is not None:
                of_account = self._lasting_us.setdefault(event.user_id, [])
                of_account.append((event.at_us, event.at_us + round(lingers_s * 1e6)))

    def touched(self, user_id: str, begun_us: int, ended_us: int) -> bool:
        """Whether anything struck between shortly before ``begun_us`` and ``ended_us``."""
        return any(
            struck_us <= ended_us and over_us >= begun_us
            for whose in ("", user_id)
            for struck_us, over_us in self._lasting_us.get(whose, ())
        )


def _lingers_s(event: Event) -> float | None:
    """Return how long an event troubles its account; ``None`` if it does not."""
    if event.kind == "fault":
        what = event.facts["what"]
        if what in _OF_THE_DISK:
            return None
        return OF_A_MESSAGE_LINGERS_S if what in _OF_A_MESSAGE else LINGERS_S
    return LINGERS_S if event.kind in (*_LIVES, _OF_A_CLOCK) else None
