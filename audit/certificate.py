"""The flat certificate: what one episode met, did and left, by its records alone.

Nothing is asked of a broker and nothing is taken from memory: whoever has the records makes the
same certificate again. It says FLAT only where a record shows that the whole account was read
after the last close and held nothing; CLOSED where an episode covered named positions and the
broker's deals show each of them closed as asked; and NOT FLAT otherwise, with the reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.canonical import write_number
from audit.closes import evidence_of, result_of
from audit.places import Entry, Verification
from audit.records import Status
from audit.sightings import count_seen, sighting_of
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import CloseEvidence, CloseResult
from engine.outcomes import Outcome
from engine.realised import VOLUME_DUST
from engine.sighting import Sighting

FORMAT = 1
"""Version of the JSON form."""


class Verdict(StrEnum):
    """What the records show of an episode."""

    FLAT = "flat"
    """The whole account was read after the last close, and nothing was open."""
    CLOSED = "closed"
    """The positions that the episode named are closed as asked, by the broker's deals."""
    NOT_FLAT = "not flat"
    """The episode is open, or something is left, or nothing shows that nothing is."""


@dataclass(frozen=True, slots=True)
class CertifiedClose:
    """The final record of one close that the episode's result counts."""

    entry: Entry
    is_shared: bool
    """Whether another episode made it: a full success answers every key of its position."""

    @property
    def result(self) -> CloseResult:
        """The result as it was returned."""
        return result_of(self.entry.record)

    @property
    def evidence(self) -> CloseEvidence:
        """Attempts with request and answer, and deals."""
        return evidence_of(self.entry.record)

    @property
    def has_untold_orders(self) -> bool:
        """Whether lots left under it that no attempt on record can have moved.

        A life that was killed took its attempts along, and a summary holds none.
        """
        result = self.result
        if result.outcome is Outcome.ALREADY_CLOSED:
            return False
        asked = sum(
            attempt.volume_asked
            for attempt in self.evidence.attempts
            if not attempt.verdict.surely_not_executed
        )
        return result.volume > asked + VOLUME_DUST

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values: the record's own ``meta_data``, and where it stands."""
        return {
            **self.entry.record.meta_data,
            "has_untold_orders": self.has_untold_orders,
            "outcome": self.entry.record.outcome,
            "closed_at": self.entry.record.occurred_at,
            "is_shared": self.is_shared,
            "place": self.entry.data(),
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What the account was seen to hold, and the record that says so."""

    entry: Entry

    @property
    def sighting(self) -> Sighting:
        """Account and positions; of very many positions only the largest are listed."""
        return sighting_of(self.entry.record)

    @property
    def open(self) -> int:
        """Positions that were open, listed or not."""
        return count_seen(self.entry.record)

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        record = self.entry.record
        return {
            "seen_at": record.occurred_at,
            "open": self.open,
            "account": record.meta_data["account"],
            "positions": record.meta_data["positions"],
            "place": self.entry.data(),
        }


@dataclass(frozen=True, slots=True)
class Residual:
    """A position that is not gone, or not surely, and why."""

    position_id: str
    ticket: int | None
    symbol: str
    volume: float | None
    """Lots that a last read found open; ``None`` if none did."""
    reason: str

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "position_id": self.position_id,
            "ticket": self.ticket,
            "symbol": self.symbol,
            "volume": write_number(self.volume),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Timings:
    """When what happened, µs UTC by the engine's own clocks; ``None`` where no record says."""

    triggered: int
    accepted: int
    first_order: int | None
    """The first order on record; the first of all unless :attr:`Certificate.untold_orders`."""
    last_answer: int | None
    flat: int | None
    """When the account was read and held nothing, or else when the last named position's result
    was known; ``None`` unless the verdict says that it is so."""
    finished: int | None

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values; durations in seconds since the trigger."""
        moments = {
            "triggered_at": self.triggered,
            "accepted_at": self.accepted,
            "first_order_at": self.first_order,
            "last_answer_at": self.last_answer,
            "flat_at": self.flat,
            "finished_at": self.finished,
        }
        after = {
            f"to_{name.removesuffix('_at')}_s": None if at is None else self.seconds(at)
            for name, at in moments.items()
            if at != self.triggered or name != "triggered_at"
        }
        return {**moments, **after}

    def seconds(self, moment: int) -> float:
        """Seconds from the trigger to a moment."""
        return (moment - self.triggered) / 1_000_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one episode met, did and left, and how far that is proven."""

    mandate: Mandate
    verdict: Verdict
    """What the records say; see :attr:`is_proven`."""
    reasons: tuple[str, ...]
    """Why it is not flat; for people."""
    before: Seen | None
    after: Seen | None
    closes: tuple[CertifiedClose, ...]
    residuals: tuple[Residual, ...]
    incidents: tuple[Entry, ...]
    """What else is on record about it: cancelled orders, reversals, locks, killed actors."""
    timings: Timings
    accepted: Entry
    finished: Entry | None
    verification: Verification
    made_at: int
    """µs UTC."""

    @property
    def trigger_id(self) -> str:
        """The episode's name."""
        return episode_id_of(self.mandate)

    @property
    def user_id(self) -> str:
        """The account."""
        return self.mandate.user_id

    @property
    def is_proven(self) -> bool:
        """Whether the chains that it rests on hold."""
        return self.verification.ok

    @property
    def is_good(self) -> bool:
        """Whether nothing is left of what was to be closed, and that is proven."""
        return self.is_proven and self.verdict is not Verdict.NOT_FLAT

    @property
    def troubles(self) -> tuple[Entry, ...]:
        """Incidents that went wrong: a reversal, an order not cancelled, a grave difference.

        They do not change the verdict, which is about what was open at the last read.
        """
        return tuple(entry for entry in self.incidents if entry.record.status is Status.FAILED)

    @property
    def untold_orders(self) -> int:
        """Closes of its own with orders that no record describes.

        When these were sent nobody can say any more, so the first order on record may not be the
        first that was sent, nor the last answer the last.
        """
        return sum(close.has_untold_orders for close in self.closes if not close.is_shared)

    @property
    def covers_account(self) -> bool:
        """Whether the episode was to close all positions, and not named ones."""
        return self.mandate.positions is None

    @property
    def initiator(self) -> str:
        """The guard or person behind it."""
        if isinstance(self.mandate, DirectClose):
            return self.mandate.initiator
        return self.mandate.guard.value

    @property
    def title(self) -> str:
        """The verdict in capitals; what fails verification proves nothing, and says so."""
        return self.verdict.value.upper() if self.is_proven else "NOT PROVEN"

    @property
    def places(self) -> tuple[Entry, ...]:
        """Every record that it rests on, by stream and number."""
        entries = [self.accepted, *self.incidents, *(close.entry for close in self.closes)]
        entries += [seen.entry for seen in (self.before, self.after) if seen is not None]
        entries += [self.finished] if self.finished is not None else []
        return tuple(sorted(entries, key=lambda e: (e.record.stream, e.record.seq)))

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values. Times are µs UTC, volumes lots."""
        return {
            "format": FORMAT,
            "title": self.title,
            "trigger_id": self.trigger_id,
            "user_id": self.user_id,
            "verdict": self.verdict.value,
            "is_proven": self.is_proven,
            "reasons": list(self.reasons),
            "mandate": self.accepted.record.meta_data,
            "timings": self.timings.data(),
            "untold_orders": self.untold_orders,
            "before": None if self.before is None else self.before.data(),
            "closes": [close.data() for close in self.closes],
            "after": None if self.after is None else self.after.data(),
            "residuals": [residual.data() for residual in self.residuals],
            "incidents": [
                {
                    "event_type": entry.record.event_type.value,
                    "occurred_at": entry.record.occurred_at,
                    "status": int(entry.record.status),
                    "description": entry.record.description,
                }
                for entry in self.incidents
            ],
            "records": [entry.data() for entry in self.places],
            "verification": self.verification.data(),
            "software": sorted({entry.record.version for entry in self.places}),
            "made_at": self.made_at,
        }

    def json(self) -> str:
        """Write :meth:`data` as one JSON object."""
        return json.dumps(self.data(), default=dict, ensure_ascii=False, allow_nan=False)
