"""The journal's streams: lives numbered durably, and the last known head of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.chain import ChainHead, SealedRecord
from audit.receipts import OpenedStream
from audit.streams import check_owner, parse_stream, stream_name


@dataclass(slots=True)
class StreamState:
    """One stream, as the journal knows it."""

    id: int
    owner: str
    incarnation: int
    head: ChainHead


class StreamRegistry:
    """The table ``streams``. Every method is part of the caller's transaction.

    Args:
        connection: the journal's; whoever uses it holds the journal's lock.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read which lives there have been."""
        self._connection = connection
        self._states: dict[str, StreamState] = {}
        self._newest: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """Read everything anew: a transaction was undone."""
        self._states.clear()
        self._newest = dict(
            self._connection.execute("SELECT owner, max(incarnation) FROM streams GROUP BY owner")
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no stream at all."""
        return not self._newest

    def open(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number a new life of each owner.

        Raises:
            ValueError: one of them is no owner.
        """
        opened = []
        for owner in owners:
            check_owner(owner)
            number = self._newest.get(owner, 0) + 1
            predecessor = self._connection.execute(
                "SELECT name, head_seq, head_hash FROM streams "
                "WHERE owner = ? AND head_seq > 0 ORDER BY incarnation DESC LIMIT 1",
                (owner,),
            ).fetchone()
            stream = stream_name(owner, number)
            is_clean = self._ended_cleanly(owner, number - 1)
            self._add(ChainHead(stream, 0, b""), owner, number)
            head = None if predecessor is None else ChainHead(*predecessor)
            opened.append(OpenedStream(stream, number, head, is_clean))
        return tuple(opened)

    def find(self, name: str) -> StreamState:
        """Find a stream, or take it over: a writer may outlive the journal it began with.

        Raises:
            ValueError: ``name`` is not the name of a stream.
        """
        state = self._states.get(name)
        if state is not None:
            return state
        row = self._connection.execute(
            "SELECT id, owner, incarnation, head_seq, head_hash FROM streams WHERE name = ?",
            (name,),
        ).fetchone()
        if row is None:
            owner, incarnation = parse_stream(name)
            return self._add(ChainHead(name, 0, b""), owner, incarnation)
        state = StreamState(row[0], row[1], row[2], ChainHead(name, row[3], row[4]))
        self._states[name] = state
        return state

    def adopt(self, heads: Iterable[ChainHead]) -> None:
        """Take over streams that a store holds and this journal does not know."""
        for head in heads:
            state = self.find(head.stream)
            if state.head.seq < head.seq:
                self._move(state, head)

    def advance(self, records: Iterable[SealedRecord]) -> None:
        """Move the heads with records that were just inserted."""
        moved: dict[str, ChainHead] = {}
        for record in records:
            head = moved.get(record.stream) or self._states[record.stream].head
            if record.seq > head.seq:
                moved[record.stream] = ChainHead(record.stream, record.seq, record.hash)
        for name, head in moved.items():
            self._move(self._states[name], head)

    def heads(self) -> tuple[ChainHead, ...]:
        """Last known head of every stream that has one."""
        rows = self._connection.execute(
            "SELECT name, head_seq, head_hash FROM streams WHERE head_seq > 0 ORDER BY id"
        ).fetchall()
        return tuple(ChainHead(*row) for row in rows)

    def close(self, stream: str, seq: int) -> None:
        """Note that a stream's writer has ended its life with record ``seq``."""
        self._connection.execute(
            "UPDATE streams SET closed_at_seq = ? WHERE name = ?", (seq, stream)
        )

    def _ended_cleanly(self, owner: str, incarnation: int) -> bool:
        """Whether a life ended with its closing record, or never was (number 0)."""
        row = self._connection.execute(
            "SELECT closed_at_seq = head_seq FROM streams WHERE owner = ? AND incarnation = ?",
            (owner, incarnation),
        ).fetchone()
        return incarnation == 0 if row is None else bool(row[0])

    def is_superseded(self, state: StreamState) -> bool:
        """Whether the stream's owner has a newer life."""
        return state.incarnation < self._newest[state.owner]

    def _add(self, head: ChainHead, owner: str, incarnation: int) -> StreamState:
        cursor = self._connection.execute(
            "INSERT INTO streams (name, owner, incarnation, head_seq, head_hash) "
            "VALUES (?, ?, ?, ?, ?)",
            (head.stream, owner, incarnation, head.seq, head.hash),
        )
        assert cursor.lastrowid is not None
        state = StreamState(cursor.lastrowid, owner, incarnation, head)
        self._states[head.stream] = state
        self._newest[owner] = max(self._newest.get(owner, 0), incarnation)
        return state

    def _move(self, state: StreamState, head: ChainHead) -> None:
        self._connection.execute(
            "UPDATE streams SET head_seq = ?, head_hash = ? WHERE id = ?",
            (head.seq, head.hash, state.id),
        )
        state.head = head
