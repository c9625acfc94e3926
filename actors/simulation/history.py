"""The history of one simulated run: what happened, when, in one order.

It holds no object of the engine and nothing of the real machine, so that equal runs have equal
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from actors.simulation.clock import TrueTime
from actors.simulation.fault_kinds import Disturbance


class Event(NamedTuple):
    """One thing that happened."""

    at_us: int
    """µs since the simulation's beginning, in true time."""
    kind: str
    user_id: str
    """The account concerned; empty for the engine as a whole."""
    facts: Mapping[str, Any]
    """Plain JSON values."""

    def line(self) -> str:
        """Write it as one line of JSON."""
        data = {"at_us": self.at_us, "kind": self.kind, "user_id": self.user_id, **self.facts}
        return json.dumps(data, sort_keys=True, separators=(",", ":"))

    def text(self) -> str:
        """Write it for people."""
        facts = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.at_us / 1e6:10.4f}  {self.user_id or '-':<6} {self.kind:<12} {facts}"


class History:
    """Events in order of time.

    Args:
        time: dates them.
    """

    def __init__(self, time: TrueTime) -> None:
        """Begin empty."""
        self._time = time
        self.events: list[Event] = []

    @property
    def now_us(self) -> int:
        """Return µs since the simulation's beginning."""
        return round(self._time.seconds() * 1e6)

    def note(self, kind: str, user_id: str = "", **facts: Any) -> Event:
        """Add an event of this moment."""
        event = Event(self.now_us, kind, user_id, facts)
        self.events.append(event)
        return event

    def __iter__(self) -> Iterator[Event]:
        """Iterate over the events."""
        return iter(self.events)

    def of_kind(self, *kinds: str) -> list[Event]:
        """Choose the events of these kinds."""
        return [event for event in self.events if event.kind in kinds]

    def lines(self) -> str:
        """Write all as JSON lines."""
        return "".join(event.line() + "\n" for event in self.events)

    def excerpt(self, user_id: str, most: int = 30, up_to_us: int | None = None) -> list[str]:
        """Write the last events that concern an account, for people.

        Args:
            user_id: the account; empty for the engine as a whole.
            most: lines.
            up_to_us: the moment that they lead up to; ``None``: the account's last event.
        """
        chosen = [
            event
            for event in self.events
            if (up_to_us is None or event.at_us <= up_to_us) and _concerns(event, user_id)
        ]
        if up_to_us is None and user_id:
            while chosen and chosen[-1].user_id != user_id:
                chosen.pop()
        return [event.text() for event in chosen[-most:]]


_MESSAGES = (
    Disturbance.MESSAGE_DELAYED,
    Disturbance.REQUEST_LOST,
    Disturbance.REPLY_LOST,
    Disturbance.MESSAGE_DOUBLED,
)
_OF_ALL = ("born", "killed", "disk", "skew", "calm", "audit-cannot-start", "fault")
"""Kinds of events of the engine as a whole that every account's story needs."""


def _concerns(event: Event, user_id: str) -> bool:
    """Whether an event belongs into the short story of an account, or of the engine."""
    what = event.facts.get("what")
    if what == Disturbance.MESSAGE_REORDERED:
        return False  # too many to tell
    if not user_id or event.user_id == user_id:
        return True
    if event.user_id:
        return False
    if event.kind == "alarm":
        return user_id in event.facts["text"]
    return event.kind in _OF_ALL and what not in _MESSAGES
