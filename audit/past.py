"""An account's past, rebuilt from its records: episodes, locks, and what it remembers.

The parts are those that an activation uses: the journal's own registry notes which episodes are
open and which lock stands (:mod:`audit.episode_registry`), :func:`audit.replay.replay` reads the
answers back, and :class:`engine.idempotency.IdempotencyMap` takes them up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from audit.episode_registry import EPISODE_EVENTS, EpisodeRegistry
from audit.events import mandate_of
from audit.journal_file import prepare
from audit.queries import RecordQuery
from audit.receipts import AccountLock
from audit.records import AuditRecord, EventType, has_type, storable, type_marks
from audit.replay import ANSWER_EVENTS, bodies_as_written, replay
from audit.rows import COLUMNS, Row, record_of_row, sealed_of
from audit.trail import Trail, pages
from engine import arguments
from engine.idempotency import IdempotencyMap
from engine.mandates import Mandate
from engine.models import CloseEvidence, CloseResult, SharedAnswer

_RECORDED_AT = COLUMNS.index("recorded_at")
_INCARNATION = COLUMNS.index("incarnation")
_SEQ = COLUMNS.index("seq")
_NOTED = type_marks(*EPISODE_EVENTS)
_ACCEPTED = (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer that the account remembers."""

    position: str
    """The position's stable identity, or its alias if the broker never knew it."""
    key: str
    fingerprint: str
    """What the key stands for: another request under it is a conflict."""
    result: CloseResult
    evidence: CloseEvidence
    """What the result rests on; its own key is another one where the answer is shared."""
    answers_every_key: bool
    """Whether it answers other keys of the position, too: it was closed in full."""

    @property
    def is_shared(self) -> bool:
        """Whether it is the full success of another key's close."""
        return self.evidence.key != self.key


@dataclass(frozen=True, slots=True)
class PastEpisode:
    """An episode, as far as it had come."""

    trigger_id: str
    accepted: AuditRecord | None
    """``None`` if only what followed is recorded."""
    finished: AuditRecord | None
    closes: tuple[AuditRecord, ...]
    """Final records of closes that name it, and those whose answers it shares, oldest first."""
    is_open: bool
    """Whether an activation would have gone on with it."""

    @property
    def state(self) -> str:
        """``open``, or how it ended: ``flat`` or ``residual``."""
        if self.finished is not None:
            return self.finished.outcome or "ended"
        return "open" if self.is_open else "unknown"

    @property
    def mandate(self) -> Mandate | None:
        """What it was told to do; ``None`` if that cannot be read."""
        if self.accepted is None:
            return None
        try:
            return mandate_of(self.accepted)
        except (ValueError, KeyError, TypeError):  # a newer version wrote it in its own way
            return None

    @property
    def first_sent_us(self) -> int | None:
        """When its first request left, µs UTC."""
        return min((close.sent_at for close in self.closes if close.sent_at), default=None)


@dataclass(frozen=True, slots=True)
class AccountPast:
    """What the records say of one account. Sequences are in the order of time."""

    user_id: str
    records: tuple[AuditRecord, ...]
    """All of them, as they occurred."""
    episodes: tuple[PastEpisode, ...]
    answers: tuple[Answer, ...]
    """What its idempotency map holds, as it was filled."""
    lock: AccountLock | None
    """The lock that stands, if one does."""

    @property
    def lives(self) -> int:
        """How many lives of its actor have begun."""
        return sum(record.event_type is EventType.STREAM_OPENED for record in self.records)


def past_of(trail: Trail, user_id: str, until: int | None = None) -> AccountPast:
    """Rebuild an account's past. Its records are held in memory, as an activation does.

    Args:
        trail: what to read.
        user_id: the account.
        until: as it stood before this moment, µs UTC: what had occurred by then, even if it was
            recorded later. With all that is recorded if ``None``.

    Raises:
        ValueError: it is no user id.
        AuditError: the trail cannot be read.
    """
    name = storable(arguments.nonempty_text("user_id", user_id))
    query = RecordQuery(user_id=name, until=until)
    rows = [row for page in pages(trail, query) for row in page]
    records = tuple(map(record_of_row, rows))
    answers = tuple(_answers(rows))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        registry = _registry(connection, rows)
        opened = {episode.trigger_id for episode in registry.open_episodes()}
        lock = next(iter(registry.locks()), None)
    return AccountPast(user_id, records, _episodes(records, opened), answers, lock)


def _registry(connection: sqlite3.Connection, rows: Iterable[Row]) -> EpisodeRegistry:
    """Let the journal's registry note what it would have noted then."""
    prepare(connection, Path(":memory:"))
    registry = EpisodeRegistry(connection)
    for row in sorted(rows, key=_as_taken):
        record = sealed_of(row)
        if has_type(record.body, _NOTED):
            registry.note(record, 0, row[_RECORDED_AT])
    return registry


def _as_taken(row: Row) -> tuple[int, int, int]:
    """Order rows as the journal took them."""
    return row[_RECORDED_AT], row[_INCARNATION], row[_SEQ]


def _answers(rows: Iterable[Row]) -> Iterable[Answer]:
    marks = type_marks(*ANSWER_EVENTS)
    chosen = [record for record in map(sealed_of, rows) if has_type(record.body, marks)]
    memory = IdempotencyMap()
    found: dict[str, CloseEvidence] = {}
    for one in replay(bodies_as_written(chosen)):
        memory.take_up([one])
        if not isinstance(one, SharedAnswer):
            result, evidence = one
            found.setdefault(result.close_id, evidence)
    for position, key in memory:
        answer, fingerprint = memory.answer(position, key), memory.fingerprint_of(position, key)
        assert answer is not None  # the map was just asked which answers it has
        assert fingerprint is not None
        evidence = found[answer.close_id]
        every = memory.full_success(position) is answer and evidence.key == key
        yield Answer(position, key, fingerprint, answer, evidence, every)


def _episodes(records: Sequence[AuditRecord], opened: set[str]) -> tuple[PastEpisode, ...]:
    accepted: dict[str, AuditRecord] = {}
    finished: dict[str, AuditRecord] = {}
    closes: dict[str, list[AuditRecord]] = {}
    by_close: dict[str, AuditRecord] = {}
    for record in records:
        name = record.trigger_id or ""
        if record.event_type in _ACCEPTED:
            accepted.setdefault(name, record)
        elif record.event_type is EventType.EPISODE_FINISHED:
            finished.setdefault(name, record)
        elif record.event_type is EventType.POSITION_CLOSED:
            closes.setdefault(name, []).append(record)
            by_close[record.close_id or ""] = record
    names = dict.fromkeys(
        record.trigger_id or ""
        for record in records
        if record.event_type in (*_ACCEPTED, EventType.EPISODE_FINISHED)
    )
    return tuple(
        PastEpisode(
            name,
            accepted.get(name),
            finished.get(name),
            _with_shared(closes.get(name, []), finished.get(name), by_close),
            name in opened,
        )
        for name in names
    )


def _with_shared(
    own: Sequence[AuditRecord], finished: AuditRecord | None, by_close: dict[str, AuditRecord]
) -> tuple[AuditRecord, ...]:
    """Add the answers of other episodes that an episode's end names as its own."""
    named = finished.meta_data.get("close_ids") if finished is not None else None
    if not isinstance(named, list):
        return tuple(own)
    shared = [by_close[name] for name in named if isinstance(name, str) and name in by_close]
    found = {record.event_id: record for record in (*own, *shared)}
    return tuple(sorted(found.values(), key=lambda record: (record.occurred_at, record.seq)))
