"""A batch for the store: read from the journal, checked, and in the shape that the store takes.

Reading is spread over the time that the database needs anyway. A batch is read piece by piece as
the store asks for its rows, so that a server has something to do from the first piece on; and
whenever the store would wait for the database, some more is read instead.
"""

from __future__ import annotations

import gc
import logging
import sys
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from audit.backlog import Backlog, Waiting
from audit.errors import JournalUnavailable
from audit.rows import Listed, Row, checked_row, plain_rows

logger = logging.getLogger(__name__)

_PIECE = 50
"""Records read at a time, which takes about half a millisecond."""
_SWITCH_S = 0.0005


def prepare_process() -> None:
    """Set the interpreter up for a process that appends to a journal and fills a store from it.

    A thread keeps the interpreter for half a millisecond at most while another wants it. Python's
    own 5 ms are as long as a whole batch, and an append, which lets go of the interpreter at each
    statement, would wait for them again and again. And what was made so far, which is mostly
    modules, is not searched for garbage any more: a fill makes enough objects for that to be done
    often, and everything else stands still meanwhile.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class TakenApart:
    """Records, parted by whether a store can hold them."""

    ordinals: list[int]
    """Those of all records."""
    rows: list[Row]
    """What a store can hold."""
    rows_from: list[int]
    """Ordinals of the records that the rows were made from."""
    unfit: list[tuple[int, str]]
    """Ordinals of those that no store can hold, each with the reason."""

    @classmethod
    def of(cls, listed: Sequence[Listed]) -> Self:
        """Check records, and make rows of them."""
        apart = cls([one[0] for one in listed], [], [], [])
        taken = 0
        while taken < len(listed):
            rows = plain_rows(listed[taken:])
            apart.rows.extend(rows)
            apart.rows_from.extend(apart.ordinals[taken : taken + len(rows)])
            taken += len(rows)
            if taken < len(listed):
                apart._check(Waiting._make(listed[taken]))
                taken += 1
        return apart

    def _check(self, one: Waiting) -> None:
        try:
            self.rows.append(checked_row(one.record, one.recorded_at, one.late == 1))
        except ValueError as error:
            self.unfit.append((one.ordinal, str(error)))
        else:
            self.rows_from.append(one.ordinal)


class FillBatch:
    """The records that follow an ordinal, in order, parted by whether a store can hold them.

    Once it was read to its end, it is complete: what the journal gets later belongs to the next.

    Args:
        backlog: the journal's side.
        after: the ordinal.
        size: records at most.
    """

    def __init__(self, backlog: Backlog, after: int, size: int) -> None:
        """Nothing is read yet."""
        self.after = after
        self.is_complete = False
        """Whether nothing will be added to it."""
        self.ordinals: list[int] = []
        """Those of all records that were read."""
        self.rows_from: list[int] = []
        """Ordinals of the records that the rows were made from."""
        self.unfit: list[tuple[int, str]] = []
        """Ordinals of those that no store can hold, each with the reason."""
        self._backlog = backlog
        self._size = size
        self._waiting: deque[list[Row]] = deque()
        self._was_given = False
        self._saw_end = False

    @property
    def is_full(self) -> bool:
        """Whether it has as many records as it may."""
        return len(self.ordinals) >= self._size

    @property
    def has_holes(self) -> bool:
        """Whether a record is missing between those that were read, or before them."""
        return bool(self.ordinals) and self.ordinals[-1] - self.after != len(self.ordinals)

    def __iter__(self) -> Iterator[Row]:
        """Give out all rows, reading on in between.

        They are not kept: whoever goes through them again has the journal read again.

        Raises:
            JournalUnavailable: it cannot be read, or no longer gives what it gave before.
        """
        if self._was_given:
            yield from self._again()
            return
        while self._waiting or self.read_on():
            if self._waiting:
                self._was_given = True
                yield from self._waiting.popleft()

    def read_on(self) -> bool:
        """Read a piece; what is there when this finds no more completes the batch.

        Returns:
            Whether there was anything.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        if self.is_complete:
            return False
        found = 0 if self.is_full else self._read_piece()
        self.is_complete = self._saw_end or self.is_full
        return found > 0

    def read_ahead(self) -> bool:
        """Read a piece before anyone asks for it, which completes nothing.

        Returns:
            Whether there may be more.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        if self.is_complete or self.is_full or self._saw_end:
            return False
        return self._read_piece() > 0

    def _read_piece(self) -> int:
        wanted = min(_PIECE, self._size - len(self.ordinals))
        last = self.ordinals[-1] if self.ordinals else self.after
        listed = self._backlog.listed_after(last, wanted)
        self._saw_end = len(listed) < wanted
        apart = TakenApart.of(listed)
        self.ordinals += apart.ordinals
        self.rows_from += apart.rows_from
        self.unfit += apart.unfit
        if apart.rows:
            self._waiting.append(apart.rows)
        return len(listed)

    def _again(self) -> Iterator[Row]:
        while self.read_on():
            pass
        self._waiting.clear()
        for first in range(0, len(self.ordinals), _PIECE):
            ordinals = self.ordinals[first : first + _PIECE]
            apart = TakenApart.of(self._backlog.whole(ordinals))
            begin = bisect_left(self.rows_from, ordinals[0])
            end = bisect_right(self.rows_from, ordinals[-1])
            if apart.rows_from != self.rows_from[begin:end]:
                raise JournalUnavailable(
                    f"the journal's records {ordinals[0]} to {ordinals[-1]} changed while they "
                    "were stored: they are read anew"
                )
            yield from apart.rows


class ReadAhead:
    """Gives out batches one after another, and reads on when it is told that there is time.

    Used by one thread at a time. What a batch holds does not depend on how much of it was read
    ahead.

    Args:
        backlog: the journal's side.
        size: records in a batch, at most.
    """

    def __init__(self, backlog: Backlog, size: int) -> None:
        """Nothing is read yet."""
        self._backlog = backlog
        self._size = size
        self._given: FillBatch | None = None
        self._next: FillBatch | None = None

    def take(self, after: int) -> FillBatch:
        """Return the batch of the records after an ordinal, as far as it was read."""
        ahead, self._next = self._next, None
        if ahead is None or ahead.after != after:
            ahead = FillBatch(self._backlog, after, self._size)
        self._given = ahead
        return ahead

    def read_on(self) -> bool:
        """Read a piece of the batch that was given out, or else of the one that follows it.

        Returns:
            Whether there may be more to read. Not if that fails, either: who needs the records
            will meet with it, and who stores others must not.
        """
        given = self._given
        try:
            if given is None or not given.is_complete:
                return given is not None and given.read_ahead()
            if not given.is_full:
                return False
            if self._next is None:
                self._next = FillBatch(self._backlog, given.ordinals[-1], self._size)
            return self._next.read_ahead()
        except Exception as error:  # noqa: BLE001 - raised again for who needs these records
            logger.debug("nothing was read ahead: %s", error)
            return False
