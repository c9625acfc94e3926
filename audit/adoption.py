"""Taking over a store that knows more than the journal: a journal is lost, or lost its end."""

from __future__ import annotations

from audit.episode_registry import EPISODE_EVENTS
from audit.journal import Journal
from audit.queries import LARGEST_LIMIT, RecordQuery
from audit.records import EventType
from audit.rows import COLUMNS, SEQ, STREAM, Row, sealed_of
from audit.store import AuditStore

_RECORDED_AT = COLUMNS.index("recorded_at")
_INCARNATION = COLUMNS.index("incarnation")
_NOTED = (*EPISODE_EVENTS, EventType.STREAM_OPENED, EventType.STREAM_CLOSED)


def adopt_store(journal: Journal, store: AuditStore) -> str | None:
    """Give a journal what it must know of the past: lives, open episodes, locks.

    A journal is always ahead of its store, unless it was lost, or a damage took its last records,
    or the store was filled from another one meanwhile.

    Args:
        journal: maybe blank.
        store: open; it may be blank, too.

    Returns:
        What was taken over, in words; ``None`` if the journal is ahead.

    Raises:
        StoreUnavailable: the store cannot be read; the journal stays as it is.
        JournalUnavailable: the journal cannot be written; it stays as it is.
    """
    known = {head.stream: head.seq for head in journal.heads()}
    heads = [extent.head for extent in store.extents()]
    ahead = [head for head in heads if head.seq > known.get(head.stream, 0)]
    if not ahead:
        return None
    rows = store.query(RecordQuery(event_types=_NOTED, limit=LARGEST_LIMIT, newest_first=True))
    noted = [
        (sealed_of(row), row[_RECORDED_AT])
        for row in sorted(rows, key=_order)
        if row[SEQ] > known.get(row[STREAM], 0)
    ]
    what = "lacks the last records" if known else "is new, and the store is not"
    journal.adopt_heads(ahead, noted=noted, is_all=len(rows) < LARGEST_LIMIT)
    return (
        f"the journal {what}: took over {len(ahead)} streams from the store, the first being "
        f"{ahead[0].stream}@{ahead[0].seq}; there are now {len(journal.open_episodes())} open "
        f"episodes and {len(journal.locks())} locks. What only the journal had is lost"
    )


def _order(row: Row) -> tuple[int, int, int]:
    """Order rows as the journal took them."""
    return row[_RECORDED_AT], row[_INCARNATION], row[SEQ]
