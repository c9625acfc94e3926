"""What a store lacks for good: records that it had, or should have, and the journal no longer has.

Every stream is numbered without holes, so a look at how many records of each stream the store
holds shows whether any is missing; only where one is, the stream is read to name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.backlog import Backlog
from audit.rows import SEQ
from audit.store import AuditStore

_PAGE = 10_000
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Records of one stream that are missing."""

    stream: str
    first: int
    """Number of the first missing one."""
    last: int
    """Number of the last missing one."""
    count: int
    """How many are missing between them, both included."""

    def __str__(self) -> str:
        """Name the place."""
        return f"{self.stream}@{self.first}..{self.last} ({self.count})"


def find_gaps(store: AuditStore, backlog: Backlog, given: int) -> tuple[StreamGap, ...]:
    """Find the records that neither the store holds nor the journal can give it.

    Args:
        store: open.
        backlog: the journal's side.
        given: ordinal up to which the store was given everything. If it was given more, as it may
            have been before a crash, then a loss of as many others of a stream goes unnoticed.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    expected = backlog.expectations(given)
    counts = {extent.head.stream: extent.count for extent in store.extents()}
    gaps = []
    for one in expected:
        # With records set aside that the store holds as well, the number alone may hide a gap.
        if one.set_aside or counts.get(one.stream, 0) < one.stored:
            held = backlog.not_in_store(one.stream, given)
            for after in range(0, one.head, _PAGE):
                held |= {row[SEQ] for row in store.read_streams([one.stream], after, after + _PAGE)}
            missing = [seq for seq in range(1, one.head + 1) if seq not in held]
            if missing:
                gaps.append(StreamGap(one.stream, missing[0], missing[-1], len(missing)))
    return tuple(gaps)


def described(gaps: Sequence[StreamGap]) -> str:
    """Name gaps for people: each stream with its first and last missing number."""
    named = ", ".join(map(str, gaps[:_MOST_NAMED]))
    more = len(gaps) - _MOST_NAMED
    return f"{named} and in {more} more streams" if more > 0 else named
