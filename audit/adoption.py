"""Taking over a store that knows more than the journal: a journal is lost, or lost its end."""

from __future__ import annotations

from collections.abc import Sequence

from audit.chain import SealedRecord
from audit.episode_registry import EPISODE_EVENTS
from audit.journal import Journal
from audit.queries import LARGEST_LIMIT, RecordQuery
from audit.records import EventType, record_of
from audit.rows import COLUMNS, SEQ, STREAM, Row, sealed_of
from audit.store import AuditStore

_RECORDED_AT = COLUMNS.index("recorded_at")
_INCARNATION = COLUMNS.index("incarnation")
_NOTED = (*EPISODE_EVENTS, EventType.STREAM_OPENED, EventType.STREAM_CLOSED)


def adopt_store(journal: Journal, store: AuditStore) -> str | None:
    """Give a journal what it must know of the past: lives, open episodes, locks.

    A journal is always ahead of its store, unless it was lost, or a damage took its last records,
    or somebody else wrote to the store. What only the store has may have been put in: the engine
    acts on it only where there is no journal at all that could know better. A journal that is
    there takes over no more than the ends of streams, so that no number is given out twice.

    Args:
        journal: maybe blank.
        store: open; it may be blank, too.

    Returns:
        What was taken over and what was not, in words; ``None`` if the journal is ahead.

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
    first = f"{ahead[0].stream}@{ahead[0].seq}"
    if known:
        journal.adopt_heads(ahead, is_all=not noted)
        return _not_believed(len(ahead), first, [record for record, _ in noted])
    journal.adopt_heads(ahead, noted=noted, is_all=len(rows) < LARGEST_LIMIT)
    return (
        f"the journal is new, and the store is not: took over {len(ahead)} streams from the store, "
        f"the first being {first}; there are now {len(journal.open_episodes())} open episodes and "
        f"{len(journal.locks())} locks. What only the journal had is lost"
    )


def _not_believed(streams: int, first: str, noted: Sequence[SealedRecord]) -> str:
    """Say what the store has that the journal does not know, and what a person is to do."""
    names = [
        f"{record.event_type.value} of {(record.trigger_id or record.user_id)!r}"
        for record in (record_of(sealed.body) for sealed in noted)
        if record.event_type in EPISODE_EVENTS
    ]
    told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"the store goes on where the journal ends, in {streams} streams, the first being {first}: "
        "either the journal lost its last records, or somebody wrote to the store. Nothing was "
        f"done for what the journal does not know ({told or 'no episode, no lock'}): look at it "
        "with 'risk-engine audit show', and submit or lock anew what is genuine"
    )


def _order(row: Row) -> tuple[int, int, int]:
    """Order rows as the journal took them."""
    return row[_RECORDED_AT], row[_INCARNATION], row[SEQ]
