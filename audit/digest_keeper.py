"""Keeping the digest file up to date, beside the filling of the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from audit.backlog import Backlog
from audit.chain import ChainHead
from audit.digest_registry import DigestEnd
from audit.digests import DigestFile, Digests
from audit.errors import AuditError
from audit.store import AuditStore
from engine.clock import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DigestPolicy:
    """When digests are written."""

    interval_s: float = 60.0
    """Not sooner after another, unless the trail is closed. A line has some 110 bytes for each
    stream that went on meanwhile: ten thousand accounts that all write every minute make 1.5 GB
    a day, and a quiet day makes next to nothing."""
    first_wait_s: float = 1.0
    """Pause after a failure; it doubles from failure to failure, ..."""
    longest_wait_s: float = 60.0
    """... up to this."""


class DigestKeeper:
    """Writes digests of what the store has for good; called by the filler's thread, between steps.

    A digest names only what was committed and checkpointed: what the journal can give the store
    again after a crash is not lost, and naming it sooner would prove nothing more.

    Args:
        file: where to.
        backlog: tells what the store was given.
        store: tells what it holds, once at the beginning.
        clock: dates and measures.
        alarm: tells people.
        policy: when.
    """

    def __init__(
        self,
        file: DigestFile,
        backlog: Backlog,
        store: AuditStore,
        *,
        clock: Clock,
        alarm: Callable[[str], None],
        policy: DigestPolicy | None = None,
    ) -> None:
        """Nothing is read or written yet."""
        self._file = file
        self._backlog = backlog
        self._store = store
        self._clock = clock
        self._alarm = alarm
        self._policy = policy or DigestPolicy()
        self._named: int | None = None
        self._due = clock.monotonic()
        self._failures = 0
        self.last_error: str | None = None
        """Why no digest can be written just now; ``None`` if one can, or none is due."""

    def attend(self, checkpointed: int, committed: int, pause: float | None) -> float | None:
        """Write a digest if there is something new and it is time; never fails.

        Args:
            checkpointed: ordinal up to which the store has everything for good.
            committed: ordinal up to which it has everything as long as it lives.
            pause: seconds until the filler's next step is due; ``None`` when there is something
                new.

        Returns:
            Seconds until the next step is due for this reason or that.
        """
        if not self._has_news(checkpointed, committed):
            return pause
        left = self._due - self._clock.monotonic()
        due = left if left > 0 else self._try(checkpointed)
        return min((one for one in (pause, due) if one is not None), default=None)

    def close(self, checkpointed: int, committed: int) -> None:
        """Write a last digest, whatever the time; never fails."""
        if self._has_news(checkpointed, committed):
            self._try(checkpointed)

    def _has_news(self, checkpointed: int, committed: int) -> bool:
        if self._named is None:
            return checkpointed == committed  # only then what the store holds is safe
        return checkpointed > self._named

    def _try(self, checkpointed: int) -> float | None:
        """Write a digest; returns after how many seconds to try again, if it failed."""
        try:
            if self._write(checkpointed):
                self._due = self._clock.monotonic() + self._policy.interval_s
        except (OSError, AuditError) as error:
            return self._failed(error)
        if self._failures:
            self._failures = 0
            self.last_error = None
            self._alarm(f"digests are written again to {self._file.path}")
        return None

    def _write(self, checkpointed: int) -> bool:
        """Write what is new; whether anything was."""
        heads = None
        if self._named is not None:
            heads = self._backlog.heads_between(self._named, checkpointed)
        known = self._backlog.digest_end()
        if heads is None:
            heads = self._behind(self._file.load(known))
        if heads:
            self._file.append(self._clock.wall_us(), heads)
        # After the line is on disk: a file that goes further than the journal knows is no loss.
        end = self._file.end
        if end is not None and (known is None or end != (known.number, known.hash)):
            file = str(self._file.path.absolute())
            self._backlog.note_digest(DigestEnd(file, *end, self._clock.wall_us()))
        self._named = checkpointed
        return bool(heads)

    def _behind(self, digests: Digests) -> list[ChainHead]:
        """Find the streams that have gone on since the file's last line."""
        path = self._file.path
        if digests.torn:
            self._alarm(
                f"digests={str(path)!r} ended in a line that was cut short by a crash: its "
                f"{digests.torn} bytes were removed"
            )
        if digests.damage is not None:
            self._alarm(
                f"digests={str(path)!r}: {digests.damage}; look into a copy of the file, and "
                "verify the trail against it"
            )
        elif digests.lacking is not None:
            self._alarm(
                f"digests={str(path)!r}: {digests.trouble}. What comes follows on it all the same"
            )
        heads = []
        contradicted = []
        held = {extent.head.stream: extent.head for extent in self._store.extents()}
        known = digests.heads_at(max(digests.times, default=0))
        for stream, head in held.items():
            named = known.pop(stream, None)
            if named is None or head.seq > named.seq:
                heads.append(head)
            elif head != named:
                contradicted.append(named)
        contradicted.extend(known.values())
        if contradicted:
            self._alarm(
                f"the store does not hold {contradicted[0].citation} as the digests name it, nor "
                f"{len(contradicted) - 1} others: run 'risk-engine audit verify'"
            )
        return heads

    def _failed(self, error: Exception) -> float:
        self._named = None  # the file may have half a line, or be another one by now
        self._failures += 1
        self.last_error = str(error)
        text = f"no digest of the trail can be written to {self._file.path}: {error}"
        if self._failures == 1:
            self._alarm(f"{text}; it is tried again")
        else:
            logger.warning("audit: %s", text)
        doubled = self._policy.first_wait_s * 2.0 ** min(self._failures - 1, 30)
        wait = min(doubled, self._policy.longest_wait_s)
        self._due = self._clock.monotonic() + wait
        return wait
