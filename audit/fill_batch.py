"""A batch for the store: read from the journal, checked, and in the shape that the store takes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from audit.backlog import Backlog, Waiting
from audit.rows import Row, row_of

_HOT = 500
"""Records read and taken apart at a time: about a megabyte, which stays in the processor's cache
between the one and the other."""


@dataclass(frozen=True, slots=True)
class FillBatch:
    """Records in order, parted by whether a store can hold them."""

    ordinals: list[int] = field(default_factory=list)
    """All of them."""
    rows: list[Row] = field(default_factory=list)
    """Those that it can hold, taken apart."""
    rows_from: list[int] = field(default_factory=list)
    """Ordinals of what they were made from."""
    unfit: list[tuple[int, str]] = field(default_factory=list)
    """Those that no store can hold, each with the reason."""

    def take_apart(self, waiting: Sequence[Waiting]) -> None:
        """Turn records into rows, and find those that no store can hold."""
        for ordinal, record, recorded_at, late in waiting:
            self.ordinals.append(ordinal)
            try:
                self.rows.append(row_of(record, recorded_at, late))
            except ValueError as error:
                self.unfit.append((ordinal, str(error)))
            else:
                self.rows_from.append(ordinal)


def read_batch(backlog: Backlog, after: int, size: int) -> FillBatch:
    """Make a batch of the records that follow an ordinal.

    Args:
        backlog: the journal's side.
        after: the ordinal.
        size: records at most.

    Raises:
        JournalUnavailable: they cannot be read.
    """
    batch = FillBatch()
    while len(batch.ordinals) < size:
        asked = min(_HOT, size - len(batch.ordinals))
        waiting = backlog.after(batch.ordinals[-1] if batch.ordinals else after, asked)
        batch.take_apart(waiting)
        if len(waiting) < asked:
            break
    return batch


SWITCH_S = 0.0005
"""How long a thread should keep the interpreter while another wants it, seconds, in a process that
fills a store (``sys.setswitchinterval``). Python's own 5 ms are as long as a whole batch, and an
append, which lets go of the interpreter at each statement, would wait for them again and again."""
_FEWEST_AHEAD = 50
"""Where batches are smaller than this, two threads cost more by handing the interpreter to each
other than they gain."""


class ReadAhead:
    """Makes the next batch ready in a thread of its own, while the store takes the one before.

    Small batches are read when they are taken. Used by one thread at a time.

    Args:
        backlog: the journal's side.
        size: records in a batch, at most.
        fewest_ahead: size from which batches are read ahead.
    """

    def __init__(
        self,
        backlog: Backlog,
        size: int,
        fewest_ahead: int = _FEWEST_AHEAD,
    ) -> None:
        """Nothing is read yet."""
        self._fewest_ahead = fewest_ahead
        self._backlog = backlog
        self._size = size
        self._threads: ThreadPoolExecutor | None = None
        self._next: tuple[int, Future[FillBatch]] | None = None

    def take(self, after: int) -> FillBatch:
        """Return the records after an ordinal, as read ahead or read now.

        Raises:
            JournalUnavailable: they cannot be read.
        """
        ahead, self._next = self._next, None
        if ahead is not None and ahead[0] == after:
            batch = ahead[1].result()
            if batch.ordinals:  # where there was nothing, there may be something by now
                return batch
        return self._read(after)

    def begin(self, batch: FillBatch) -> None:
        """Begin to read what follows a batch, unless nothing does."""
        if len(batch.ordinals) == self._size >= self._fewest_ahead:
            after = batch.ordinals[-1]
            self._threads = self._threads or ThreadPoolExecutor(1, "audit-read-ahead")
            self._next = after, self._threads.submit(self._read, after)

    def settle(self) -> None:
        """Wait until nothing is being read."""
        if self._next is not None:
            self._next[1].exception()

    def close(self) -> None:
        """End the thread, until there is something to read again."""
        self._next = None
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _read(self, after: int) -> FillBatch:
        return read_batch(self._backlog, after, self._size)
