"""Taking records into the journal: in order, each once, and what contradicts is set aside.

A stream's records are numbered, and the journal takes them only in that order. So whatever dies,
and whatever messages are lost or overtake each other, no stream has a hole. A record that is set
aside in its place counts as taking it, else its stream would stand still for ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from audit.apart_registry import ApartRegistry
from audit.chain import ChainHead, SealedRecord
from audit.episode_registry import EPISODE_EVENTS, EpisodeRegistry
from audit.receipts import AppendReceipt, SetAside
from audit.records import EventType, has_type, parts_of_body, type_marks
from audit.stream_registry import StreamRegistry, StreamState
from engine.outcomes import Outcome

_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BEGINS = type_marks(EventType.STREAM_OPENED)
_ENDS = type_marks(EventType.STREAM_CLOSED)
_NOTED = (*type_marks(*EPISODE_EVENTS), *_BEGINS, *_ENDS)
_CLOSES = type_marks(EventType.POSITION_CLOSED)
_PROVEN = (Outcome.DONE.value, Outcome.PARTIAL.value, Outcome.ALREADY_CLOSED.value)
UNPROVEN = "the life that concluded this without proof had been replaced before it arrived"
_Noted: TypeAlias = tuple[SealedRecord, int]


class OutOfLine(Exception):
    """A batch holds a record that is known, behind a gap, or not what it should be."""


@dataclass(slots=True)
class _Line:
    """A stream of the batch, and how far it goes with what was taken so far."""

    state: StreamState
    is_late: bool
    seq: int
    last: SealedRecord | None = None


class Intake:
    """Takes batches in. Every method is part of the caller's transaction.

    Args:
        connection: the journal's; whoever uses it holds the journal's lock.
        streams: on the same connection.
        episodes: on the same connection.
        apart: on the same connection.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        streams: StreamRegistry,
        episodes: EpisodeRegistry,
        apart: ApartRegistry,
    ) -> None:
        """Nothing is taken yet."""
        self._connection = connection
        self._streams = streams
        self._episodes = episodes
        self._apart = apart

    def take_all(
        self, batch: Sequence[SealedRecord], newest: int, now: int, incarnation: int | None = None
    ) -> tuple[AppendReceipt, int]:
        """Take a batch all of whose records are new and in order, which is nearly every batch.

        Args:
            batch: not empty.
            newest: ordinal of the last record before them.
            now: µs UTC.
            incarnation: the account's life that hands them in by itself, if one does.

        Returns:
            The receipt, and how many were inserted.

        Raises:
            OutOfLine: it is no such batch: undo the transaction, and call :meth:`take_each`.
        """
        lines: dict[str, _Line] = {}
        rows = []
        noted: list[_Noted] = []
        for ordinal, record in enumerate(batch, newest + 1):
            event_id, stream, seq, prev_hash, digest, body = record
            line = lines.get(stream)
            if line is None:
                line = lines[stream] = self._line(stream)
                if line.state.is_open_ended and seq > line.seq:
                    self._streams.resume(line.state, seq)
                    line.seq = seq - 1
                if self._is_outdated(line, incarnation):
                    raise OutOfLine
            if seq != line.seq + 1:
                raise OutOfLine
            line.seq = seq
            line.last = record
            state_id, is_late = line.state.id, line.is_late
            rows.append((ordinal, event_id, state_id, seq, prev_hash, digest, now, is_late, body))
            if has_type(body, _NOTED):
                noted.append((record, ordinal))
        try:
            self._connection.executemany(_INSERT, rows)
        except sqlite3.IntegrityError as error:
            raise OutOfLine from error
        self._advance(lines)
        self._note(noted, now)
        held = frozenset([record.event_id for record in batch])
        return AppendReceipt(held, superseded=self._superseded(lines)), len(rows)

    def take_each(
        self, batch: Sequence[SealedRecord], newest: int, now: int, incarnation: int | None = None
    ) -> tuple[AppendReceipt, int]:
        """Take what is new and in order, pass over what is known, set aside what contradicts.

        Args and returns are those of :meth:`take_all`; records behind a gap are left out.
        """
        lines: dict[str, _Line] = {}
        held: set[str] = set()
        apart: list[SetAside] = []
        gaps: dict[str, None] = {}
        noted: list[_Noted] = []
        ordinal = newest
        for record in batch:
            line = lines.get(record.stream)
            if line is None:
                try:
                    line = lines[record.stream] = self._line(record.stream)
                except OutOfLine as error:
                    apart.append(self._apart.keep(record, str(error), now, in_place=False))
                    continue
            is_ahead = record.seq > line.seq
            if is_ahead and line.state.is_open_ended:
                self._streams.resume(line.state, record.seq)
            elif record.seq > line.seq + 1:
                gaps[record.stream] = None
                continue
            known, reason = self._look_up(record, line.state, is_ahead)
            if reason == UNPROVEN and incarnation is None and self._apart.let_go(record, reason):
                reason = None  # the supervisor was given it in time, and has told it
            if not known and reason is None and self._is_outdated(line, incarnation):
                reason = _unproven(record)
            if reason is not None:
                apart.append(self._apart.keep(record, reason, now, in_place=is_ahead))
            else:
                held.add(record.event_id)
                if not known:
                    ordinal += 1
                    self._insert(ordinal, record, line, now)
                    # What comes again after it was forgotten was noted when it was new.
                    if (is_ahead or line.state.is_hole(record.seq)) and has_type(
                        record.body, _NOTED
                    ):
                        noted.append((record, ordinal))
            if is_ahead:
                line.seq = record.seq
                line.last = record
        self._advance(lines)
        self._note(noted, now)
        expected = {stream: lines[stream].seq + 1 for stream in gaps}
        receipt = AppendReceipt(frozenset(held), tuple(apart), self._superseded(lines), expected)
        return receipt, ordinal - newest

    def note_stored(self, record: SealedRecord, recorded_at: int) -> None:
        """Note what a record says that is only in the store: the journal was lost."""
        if has_type(record.body, _NOTED):
            self._note([(record, 0)], recorded_at)

    def _line(self, stream: str) -> _Line:
        try:
            state = self._streams.find(stream)
        except ValueError as error:
            raise OutOfLine(str(error)) from error
        return _Line(state, self._streams.is_superseded(state), state.head.seq)

    def _is_outdated(self, line: _Line, incarnation: int | None) -> bool:
        """Whether a life hands records in by itself that has been replaced."""
        return incarnation is not None and self._streams.is_outdated(line.state, incarnation)

    def _look_up(
        self, record: SealedRecord, state: StreamState, is_ahead: bool
    ) -> tuple[bool, str | None]:
        """Say whether a record is known, and why it cannot be taken, if it cannot."""
        known = self._connection.execute(
            "SELECT event_id, hash FROM records "
            "WHERE event_id = ?1 OR (stream_id = ?2 AND seq = ?3)",
            (record.event_id, state.id, record.seq),
        ).fetchall()
        if not known:
            return False, None if is_ahead else self._apart.why_taken(record)
        if known == [(record.event_id, record.hash)]:
            return True, None
        return True, _contradiction(record, known)

    def _insert(self, ordinal: int, record: SealedRecord, line: _Line, now: int) -> None:
        event_id, _, seq, prev_hash, digest, body = record
        row = ordinal, event_id, line.state.id, seq, prev_hash, digest, now, line.is_late, body
        self._connection.execute(_INSERT, row)

    def _advance(self, lines: dict[str, _Line]) -> None:
        for line in lines.values():
            if line.last is not None:
                _, stream, seq, _, digest, _ = line.last
                self._streams.move(line.state, ChainHead(stream, seq, digest))

    def _note(self, noted: Sequence[_Noted], now: int) -> None:
        for record, ordinal in noted:
            if has_type(record.body, _ENDS):
                self._streams.close(record.stream, record.seq)
            elif has_type(record.body, _BEGINS):
                self._streams.note_process(record.stream, parts_of_body(record.body)[1])
            else:
                self._episodes.note(record, ordinal, now)

    def _superseded(self, lines: dict[str, _Line]) -> frozenset[str]:
        states = [(name, line.state) for name, line in lines.items()]
        return frozenset([name for name, state in states if self._streams.is_superseded(state)])


def _contradiction(record: SealedRecord, known: Sequence[tuple[str, bytes]]) -> str:
    if any(event_id == record.event_id for event_id, _ in known):
        return "the same event was recorded before, in another place or with another content"
    return f"its place in its stream is taken by event {known[0][0]}"


def _unproven(record: SealedRecord) -> str | None:
    """Say why a replaced life's conclusion does not count; ``None`` if it proves what it says."""
    if not has_type(record.body, _CLOSES) or parts_of_body(record.body)[2]["outcome"] in _PROVEN:
        return None
    return UNPROVEN
