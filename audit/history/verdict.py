"""What the checker says of a history."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be wrong with a history. The names are stable."""

    DOUBLE_CLOSE = "double_close"
    """More lots left a position than were there or than were asked for, a close opened
    something, or two closes each ended one position."""
    LOST_CLOSE = "lost_close"
    """A close that a client was told of, or promised, did not happen, or only in part."""
    UNSERIAL_PAIR = "unserial_pair"
    """Two requests of one account were at the venue at the same time."""
    SENT_TOO_EARLY = "sent_too_early"
    """A request was sent while an earlier one, its fate unknown, could still act."""
    STALE_REQUEST = "stale_request"
    """A request asked for lots that our own closes had already taken."""
    UNCLAIMED_CLOSE = "unclaimed_close"
    """A close was executed that no call, result or record accounts for."""
    EXECUTED_AFTER_ALL = "executed_after_all"
    """A result says that nothing was executed, or sent, and the book shows that it was."""
    RESULT_MISMATCH = "result_mismatch"
    """Volume, price or P&L of a result differ from the deals."""
    RESULTS_DIFFER = "results_differ"
    """One position and key were given two different results, or two keys share one close that
    was no full success."""
    SUCCESS_NOT_FINAL = "success_not_final"
    """A position was told to be gone, and a later call was not given that answer."""
    KEY_CONFLICT = "key_conflict"
    """A key came back with another ticket or volume and was answered as if it were the same."""
    SECOND_RECORD = "second_record"
    """Two final records of one position and key."""
    RECORD_MISMATCH = "record_mismatch"
    """A final record says something else than the result."""
    LOST_RECORD = "lost_record"
    """A result was called durable and has no record."""
    INCONSISTENT_BOOK = "inconsistent_book"
    """The venue's own lines contradict each other: the history proves nothing."""
    NO_EXPLANATION = "no_explanation"
    """No order of the calls explains their answers and the book."""
    UNDECIDED = "undecided"
    """The search for an explanation was ended at its bound: neither accepted nor disproved."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong."""

    kind: Kind
    text: str
    """A sentence with the facts."""
    user_id: str = ""
    position: str = ""
    """The venue's identifier, or the caller's name if the venue knows none; may be empty."""
    call: str = ""
    """The call concerned, or several, separated by commas; may be empty."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one history."""

    calls: int
    positions: int
    requests: int
    violations: tuple[Violation, ...]

    @property
    def accepted(self) -> bool:
        """Whether a serial, exactly-once explanation was found for all of it."""
        return not self.violations

    @property
    def undecided(self) -> bool:
        """Whether nothing is wrong but something could not be searched to the end."""
        return bool(self.violations) and all(v.kind is Kind.UNDECIDED for v in self.violations)

    def data(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "accepted": self.accepted,
            "calls": self.calls,
            "positions": self.positions,
            "requests": self.requests,
            "violations": [{**asdict(v), "kind": v.kind.value} for v in self.violations],
        }
