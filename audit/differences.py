"""Differences between an account's records and its broker's deals, and their records."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from audit.canonical import write_number
from audit.records import AuditRecord, EventType, Status, event_id, optional_text, storable


class DifferenceKind(StrEnum):
    """What store and broker disagree on."""

    UNKNOWN_CLOSE = "unknown close"
    """The broker has deals under this engine's close tag; the store has no record of the close."""
    MISSING_DEAL = "missing deal"
    """A record rests on a deal, or tells of a fill, that the broker does not have."""
    PNL = "P&L differs"
    VOLUME = "volume differs"
    PRICE = "price differs"
    FOREIGN_CLOSE = "closed by others"
    """An exit that this engine did not make (stop loss, take profit, stop-out, by hand) and no
    record covers. Nothing obliges the engine to know it: it is noted, and no fault of the store."""

    @property
    def is_mild(self) -> bool:
        """Whether it does not speak against the store."""
        return self is DifferenceKind.FOREIGN_CLOSE


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement about one account."""

    kind: DifferenceKind
    user_id: str
    subject: str
    """What it is about: a deal's number, a close tag, or a record's event id."""
    text: str
    """For people."""
    position: str = ""
    close_id: str = ""
    trigger_id: str = ""
    recorded: float | None = None
    found: float | None = None
    deals: tuple[int, ...] = ()
    is_new: bool = field(default=True, compare=False)
    """Whether no earlier run has put it on record."""

    @property
    def event_id(self) -> str:
        """Name the fact: the same difference has the same name in every run."""
        natural = (self.user_id, self.kind.value, self.subject, repr(self.found))
        return event_id(EventType.RECONCILE_DIFFERENCE, *natural, *self.deals)


def difference_record(difference: Difference, *, occurred_at: int) -> AuditRecord:
    """Record a difference. Its amounts stand in ``meta_data`` only: they are nobody's P&L.

    Args:
        difference: what was found.
        occurred_at: when, µs UTC.
    """
    return AuditRecord(
        event_id=difference.event_id,
        event_type=EventType.RECONCILE_DIFFERENCE,
        user_id=storable(difference.user_id),
        occurred_at=occurred_at,
        status=Status.WARNING if difference.kind.is_mild else Status.FAILED,
        description=storable(f"{difference.kind.value}: {difference.text}"),
        trigger_id=optional_text(difference.trigger_id),
        position_id=optional_text(difference.position),
        meta_data={
            "kind": difference.kind,
            "subject": difference.subject,
            "close_id": difference.close_id,
            "recorded": write_number(difference.recorded),
            "found": write_number(difference.found),
            "deals": list(difference.deals),
        },
    )


@dataclass(frozen=True, slots=True)
class AccountReconciled:
    """What became of reconciling one account."""

    user_id: str
    closes: int = 0
    """Final records that were compared."""
    deals: int = 0
    """Deals of the broker that were read."""
    begins_ms: int | None = None
    """Broker's time from which all deals were judged; see
    :class:`audit.reconciling.Horizon`."""
    differences: tuple[Difference, ...] = ()
    error: str | None = None
    """Why it could not be done."""

    @property
    def is_clean(self) -> bool:
        """Whether it was done, and nothing speaks against the store."""
        return self.error is None and all(one.kind.is_mild for one in self.differences)

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "user_id": self.user_id,
            "closes": self.closes,
            "deals": self.deals,
            "begins_ms": self.begins_ms,
            "error": self.error,
            "differences": [
                {
                    "kind": one.kind.value,
                    "is_mild": one.kind.is_mild,
                    "is_new": one.is_new,
                    "text": one.text,
                    "position": one.position,
                    "close_id": one.close_id,
                    "trigger_id": one.trigger_id,
                    "recorded": write_number(one.recorded),
                    "found": write_number(one.found),
                    "deals": list(one.deals),
                    "event_id": one.event_id,
                }
                for one in self.differences
            ],
        }
