"""Fills the store from the journal, in the background and in order; loses nothing.

The journal forgets a record only when the store has committed it *and* was checkpointed. So
whatever the store loses at a crash is still in the journal; when a store is opened, what the
journal gave it last is compared with what it holds: a database may drop the damaged end of its
log without a word.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from audit.backlog import Backlog, Remembered
from audit.digest_keeper import DigestKeeper
from audit.errors import JournalUnavailable, StoreUnavailable
from audit.fill_batch import FillBatch, ReadAhead, TakenApart
from audit.gaps import StreamGap, described, find_gaps
from audit.records import is_event_id
from audit.rows import EVENT_ID, Row
from audit.store import AuditStore, RowsRefused
from engine.clock import Clock

logger = logging.getLogger(__name__)

_NOTED_EVERY = 1_000
"""After so many records at the latest the journal notes what the store was given."""


@dataclass(frozen=True, slots=True)
class FillPolicy:
    """How the store is filled."""

    batch: int = 10_000
    """Rows in one transaction of the store, at most."""
    linger_s: float = 0.2
    """How long the first record of a batch waits for others: a burst becomes one batch, and the
    filling does not compete with it for the processor."""
    checkpoint_rows: int = 100_000
    """A checkpoint follows after so many rows, ..."""
    checkpoint_s: float = 30.0
    """... or so long after the first of them."""
    first_wait_s: float = 0.1
    """Pause after a failure; it doubles from failure to failure, ..."""
    longest_wait_s: float = 30.0
    """... up to this."""
    compared: int = 20_000
    """How many of the last stored records are compared when a store is opened."""


class Filler:
    """Moves records from the journal to the store.

    Args:
        backlog: the journal's side.
        store: the store; this filler opens, closes and reopens it.
        clock: measures.
        policy: how.
    """

    def __init__(
        self, backlog: Backlog, store: AuditStore, *, clock: Clock, policy: FillPolicy | None = None
    ) -> None:
        """Nothing is opened or started yet."""
        self._backlog = backlog
        self._store = store
        self._clock = clock
        self._policy = policy or FillPolicy()
        self._ahead = ReadAhead(backlog, self._policy.batch)
        self._changed = threading.Condition()
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready = self._urgent = self._stopping = False
        self._failures = 0
        self._gaps_unsure = False
        self._checkpoint_due: float | None = None
        self._noted = 0
        self.committed = backlog.stored
        """Ordinal up to which the store has everything, as long as it lives."""
        self.checkpointed = self.committed
        """Ordinal up to which the store has everything for good."""
        self.last_error: str | None = None
        """What went wrong last; ``None`` since something worked."""
        self.gaps: tuple[StreamGap, ...] = ()
        """What the store lacks and the journal no longer holds."""
        self.alarms: deque[str] = deque(maxlen=100)
        """What a person should know, oldest first."""
        self.digests: DigestKeeper | None = None
        """Who writes digests of what is stored for good, if anyone does."""

    def open_store(self) -> None:
        """Open the store, and give it again what it lost.

        Raises:
            StoreUnavailable: it cannot be opened.
            NewerSchema: a newer version of this software made it.
        """
        opened = self._store.open()
        self.committed = self.checkpointed = self._backlog.stored
        self._noted = self._backlog.given
        if opened.set_aside is not None:
            self.alarm(
                f"the store could not be read ({opened.reason}); it was moved to "
                f"{opened.set_aside} and a new one begun"
            )
        self._refill()
        self._look_for_gaps()
        self._gaps_unsure = True
        self._ready = True

    @property
    def missing(self) -> int:
        """How many records the store lacks that the journal no longer holds."""
        return sum(gap.count for gap in self.gaps)

    def step(self) -> float | None:
        """Move one batch, and checkpoint if it is time.

        Returns:
            Seconds until the next step is due: 0 at once, ``None`` when there is something new.
        """
        with self._working:
            try:
                self._backlog.merge()
                if not self._ready:
                    self.open_store()
                pause = self._move()
                if self.digests is not None:
                    pause = self.digests.attend(self.checkpointed, self.committed, pause)
            except Exception as error:  # noqa: BLE001 - logged, shown in the status, tried again
                return self._failed(error)
            self._failures = 0
            self.last_error = None
        with self._changed:
            self._changed.notify_all()
        return pause

    def start(self) -> None:
        """Begin to work in a thread."""
        self._thread = threading.Thread(target=self._run, name="audit-filler", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that something was appended."""
        with self._changed:
            self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until the store has all that the journal has acknowledged so far.

        Args:
            timeout: seconds.

        Returns:
            Whether it has.
        """
        target = self._backlog.newest
        if self._thread is None:
            while not self._has(target) and self.step() == 0:
                pass
            return self._has(target)
        with self._changed:
            if not self._has(target):
                self._urgent = True
                self._changed.notify_all()
            return self._changed.wait_for(lambda: self._has(target), timeout)

    @contextmanager
    def borrowed(self, timeout: float) -> Iterator[bool]:
        """Keep from working, so that another may ask the store without waiting for a batch.

        Args:
            timeout: seconds to wait for the end of what is under way.

        Yields:
            Whether the store can be asked.
        """
        is_mine = self._working.acquire(timeout=timeout)
        try:
            yield is_mine and self._ready
        finally:
            if is_mine:
                self._working.release()

    def distrust(self, trouble: Exception) -> None:
        """Have the store opened anew before it is used again: reading it failed."""
        logger.warning("audit store will be opened anew: %s", trouble)
        with self._working:
            self._ready = False
            self.last_error = f"reading failed, {type(trouble).__name__}: {trouble}"
            self._store.close()

    def stop(self, timeout: float) -> bool:
        """Drain, checkpoint, and end the thread.

        Returns:
            Whether the store has everything, for good.
        """
        self.drain(timeout)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._working:
            try:
                if self._ready:
                    self._checkpoint()
                    if self.digests is not None:
                        self.digests.close(self.checkpointed, self.committed)
            except Exception as error:  # noqa: BLE001 - logged; the answer below says so
                self._failed(error)
        return self.checkpointed >= self._backlog.newest

    def _run(self) -> None:
        while True:
            pause = self.step()
            with self._changed:
                self._changed.wait_for(self._has_work, pause)
                if self._has_work() and pause != 0:
                    self._changed.wait_for(lambda: self._is_called, self._policy.linger_s)
                if self._stopping:
                    return
                self._urgent = False

    def _has(self, ordinal: int) -> bool:
        return self._ready and self.committed >= ordinal

    @property
    def _is_called(self) -> bool:
        return self._urgent or self._stopping

    def _has_work(self) -> bool:
        # After a failure only time, a reader or the end brings the next attempt.
        return self._is_called or (not self._failures and self._backlog.newest > self.committed)

    def _move(self) -> float | None:
        newest = self._backlog.newest
        batch = self._ahead.take(self.committed)
        if batch.ordinals or batch.read_on():
            self._insert(batch, batch)
            self.committed = batch.ordinals[-1]
            # What was set aside before the store was opened is not in the line any more. But
            # somebody else may have taken it out: then only a gap in its stream tells.
            self._gaps_unsure |= batch.has_holes
        elif self.committed < newest:
            self.committed = newest
            self._gaps_unsure = True
        if not batch.is_full or self.committed - self._noted >= _NOTED_EVERY:
            self._note_given()
        if self._gaps_unsure and not batch.is_full:
            self._look_for_gaps()
            self._gaps_unsure = False
        if self._checkpoint_due is None:
            return None
        left: float | None = self._checkpoint_due - self._clock.monotonic()
        if (
            self._clock.monotonic() >= self._checkpoint_due
            or self.committed - self.checkpointed >= self._policy.checkpoint_rows
        ):
            self._checkpoint()
            left = None
        return 0 if batch.is_full or self.committed < newest else left

    def _note_given(self) -> None:
        if self._noted == self.committed:
            return
        try:
            self._backlog.note_given(self.committed)
            self._noted = self.committed
        except JournalUnavailable as error:
            # The store has the records, and they will be given to it again; only its losing
            # them would go unnoticed.
            logger.warning("what the audit store was given could not be noted: %s", error)

    def _checkpoint(self) -> None:
        reached = self.committed
        self._store.checkpoint()
        self._backlog.mark_stored(reached)
        self.checkpointed = reached
        self._checkpoint_due = None

    def _insert(self, rows: Iterable[Row], parted: FillBatch | TakenApart) -> None:
        self._insert_rows(rows, parted.rows_from)
        for ordinal, reason in parted.unfit:
            self._set_aside(ordinal, reason)
        if self._checkpoint_due is None:
            self._checkpoint_due = self._clock.monotonic() + self._policy.checkpoint_s

    def _insert_rows(self, rows: Iterable[Row], ordinals: Sequence[int]) -> None:
        try:
            report = self._store.insert_batch(rows, self._ahead.read_on)
        except RowsRefused as refusal:
            whole = list(rows)
            if len(whole) == 1:
                self._set_aside(ordinals[0], str(refusal))
                return
            half = len(whole) // 2
            self._insert_rows(whole[:half], ordinals[:half])
            self._insert_rows(whole[half:], ordinals[half:])
            return
        if report.contradictions:
            for row, ordinal in list(zip(rows, ordinals, strict=True)):
                reason = report.contradictions.get(row[EVENT_ID])
                if reason is not None:
                    self._set_aside(ordinal, reason)

    def _set_aside(self, ordinal: int, reason: str) -> None:
        (one,) = self._backlog.whole([ordinal])
        self._backlog.keep_apart(one, reason)
        record = one.record
        self.alarm(
            f"record {record.stream}@{record.seq} (event {record.event_id}) was set aside: {reason}"
        )

    def _refill(self) -> None:
        """Compare the last records that the store was given with what it holds, and mend it."""
        given = [one for one in self._remembered() if is_event_id(one.event_id)]
        if not given:
            return
        held = self._store.hashes_of([one.event_id for one in given])
        lost = [one for one in given if one.event_id not in held]
        again = self._backlog.whole([one.ordinal for one in lost if one.is_whole])
        if again:
            apart = TakenApart.of(again)
            self._insert(apart.rows, apart)
            least = "at least " if len(lost) == len(given) == self._policy.compared else ""
            self.alarm(
                f"the store had lost {least}{len(again)} of the last records that it had "
                "committed: refilled from the journal"
            )

    def _remembered(self) -> list[Remembered]:
        remembered = self._backlog.remembered(self._policy.compared)
        damaged = [one.ordinal for one in remembered if not is_event_id(one.event_id)]
        if damaged:
            text = (
                f"the journal is damaged: {len(damaged)} records that it gave to the store have "
                f"lost their names, the first of them ordinal {damaged[0]}; whether the store "
                "holds them is not compared: verify it"
            )
            if text not in self.alarms:  # a store that comes and goes is opened often
                self.alarm(text)
        return remembered

    def _look_for_gaps(self) -> None:
        gaps = find_gaps(self._store, self._backlog, self.committed)
        if gaps and gaps != self.gaps:
            self.alarm(
                f"the store lacks {sum(gap.count for gap in gaps)} records, and the journal no "
                f"longer holds them: {described(gaps)}; look into the store's backup or a file "
                "that was set aside"
            )
        self.gaps = gaps

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self._ready = False
        self.last_error = f"{type(error).__name__}: {error}"
        expected = isinstance(error, StoreUnavailable)
        logger.warning("audit store not filled: %s", error, exc_info=None if expected else error)
        self._store.close()
        wait = self._policy.first_wait_s * 2.0 ** min(self._failures - 1, 30)
        return min(wait, self._policy.longest_wait_s)

    def alarm(self, text: str) -> None:
        """Tell people something, in the log and in the status."""
        logger.error("audit: %s", text)
        self.alarms.append(text)
