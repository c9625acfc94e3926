"""The journal's streams: lives numbered durably, and the last known head of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.canonical import decode
from audit.chain import ChainHead
from audit.receipts import OpenedStream
from audit.streams import check_owner, parse_stream, stream_name


@dataclass(slots=True)
class StreamState:
    """One stream, as the journal knows it."""

    id: int
    owner: str
    incarnation: int
    head: ChainHead
    is_open_ended: bool = False
    """Taken over, from a writer or from a store that knows more than this journal: its next
    record may have any number, for what lies between may be lost with the journal before."""
    hole_after: int = 0
    hole_until: int = 0
    """Numbers above the first and up to the second were left out when it was taken over."""

    def is_hole(self, seq: int) -> bool:
        """Whether a record of this number was left out when the stream was taken over."""
        return self.hole_after < seq <= self.hole_until


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
            is_clean, process = self._end_of(owner, number - 1)
            self._add(ChainHead(stream, 0, b""), owner, number)
            head = None if predecessor is None else ChainHead(*predecessor)
            opened.append(OpenedStream(stream, number, head, is_clean, process))
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
            "SELECT id, owner, incarnation, head_seq, head_hash, is_open_ended, hole_after, "
            "hole_until FROM streams WHERE name = ?",
            (name,),
        ).fetchone()
        if row is None:
            owner, incarnation = parse_stream(name)
            return self._add(ChainHead(name, 0, b""), owner, incarnation, is_open_ended=True)
        head = ChainHead(name, row[3], row[4])
        state = StreamState(row[0], row[1], row[2], head, bool(row[5]), row[6], row[7])
        self._states[name] = state
        return state

    def adopt(self, heads: Iterable[ChainHead]) -> None:
        """Take over streams of which a store holds more than this journal knows.

        The last record that the journal knew itself is remembered besides: what lies before it
        is held against that.

        Args:
            heads: as the store has them.
        """
        for head in heads:
            state = self.find(head.stream)
            if state.head.seq < head.seq:
                if not state.is_open_ended:
                    self._connection.execute(
                        "UPDATE streams SET proven_seq = head_seq, proven_hash = head_hash "
                        "WHERE id = ?",
                        (state.id,),
                    )
                self.move(state, head)
                state.is_open_ended = True
                self._connection.execute(
                    "UPDATE streams SET is_open_ended = 1 WHERE id = ?", (state.id,)
                )

    def resume(self, state: StreamState, seq: int) -> None:
        """Go on with a stream that was taken over; its next record has the number ``seq``."""
        state.is_open_ended = False
        if seq > state.head.seq + 1:
            state.hole_after, state.hole_until = state.head.seq, seq - 1
        self._connection.execute(
            "UPDATE streams SET is_open_ended = 0, hole_after = ?, hole_until = ? WHERE id = ?",
            (state.hole_after, state.hole_until, state.id),
        )

    def move(self, state: StreamState, head: ChainHead) -> None:
        """Move a stream's head to a later record."""
        self._connection.execute(
            "UPDATE streams SET head_seq = ?, head_hash = ? WHERE id = ?",
            (head.seq, head.hash, state.id),
        )
        state.head = head

    def newest_lives(self, owners: Iterable[str]) -> dict[str, int]:
        """Number of each owner's newest life; 0 if it never had one."""
        return {owner: self._newest.get(owner, 0) for owner in owners}

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

    def note_process(self, stream: str, meta: str) -> None:
        """Note which process runs a life, as the first record of its stream says.

        Args:
            stream: the stream's name.
            meta: the record's ``meta_data``, canonical.
        """
        process = decode(meta).get("process")
        if isinstance(process, str):
            self._connection.execute(
                "UPDATE streams SET process = ? WHERE name = ?", (process, stream)
            )

    def _end_of(self, owner: str, incarnation: int) -> tuple[bool, str | None]:
        """Whether a life ended with its closing record, or never was, and which process ran it."""
        row = self._connection.execute(
            "SELECT closed_at_seq = head_seq, process FROM streams "
            "WHERE owner = ? AND incarnation = ?",
            (owner, incarnation),
        ).fetchone()
        return (incarnation == 0, None) if row is None else (bool(row[0]), row[1])

    def is_outdated(self, state: StreamState, incarnation: int) -> bool:
        """Whether the stream's owner has a newer life than that number."""
        return incarnation < self._newest[state.owner]

    def is_superseded(self, state: StreamState) -> bool:
        """Whether the stream's owner has a newer life."""
        return state.incarnation < self._newest[state.owner]

    def _add(
        self, head: ChainHead, owner: str, incarnation: int, *, is_open_ended: bool = False
    ) -> StreamState:
        cursor = self._connection.execute(
            "INSERT INTO streams (name, owner, incarnation, head_seq, head_hash, is_open_ended) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (head.stream, owner, incarnation, head.seq, head.hash, is_open_ended),
        )
        assert cursor.lastrowid is not None
        state = StreamState(cursor.lastrowid, owner, incarnation, head, is_open_ended)
        self._states[head.stream] = state
        self._newest[owner] = max(self._newest.get(owner, 0), incarnation)
        return state
