"""Following a trail while engines come and go.

A record may be recorded long after it occurred, so what is new is told by when it was recorded.
Files that no engine has open are not kept open between two looks: an engine that is started must
be able to have them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from audit.queries import RecordQuery
from audit.rows import COLUMNS, EVENT_ID, Row
from engine.errors import RiskEngineError

if TYPE_CHECKING:
    from audit.trail import Trail

LOOK_EVERY_S = 0.5
PATIENCE_S = 60.0
"""How long a trail may be out of reach, as between two lives of an engine."""
OVERLAP_US = 60_000_000
"""How far a clock may be set back without a record being missed."""

_RECORDED_AT = COLUMNS.index("recorded_at")


class Following:
    """Reads the last records of a trail, and then the new ones.

    Args:
        reach: lends the trail.
        fingerprint: says something else when files have changed; ``None`` if only reading tells.
        pause: waits so many seconds.
        monotonic: seconds, from any origin.
    """

    def __init__(
        self,
        reach: Callable[[], AbstractContextManager[Trail]],
        fingerprint: Callable[[], object],
        pause: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet."""
        self._reach = reach
        self._fingerprint = fingerprint
        self._pause = pause
        self._monotonic = monotonic
        self._seen: dict[str, int] = {}
        self._newest = 0
        self._looked_at: object = None

    def last(self, query: RecordQuery, number: int) -> list[Row]:
        """Read the last ``number`` records that a query chooses, oldest first.

        Raises:
            AuditError: the trail cannot be read.
        """
        from audit.trail import pages

        self._looked_at = self._fingerprint()
        with self._reach() as trail:
            backwards = replace(query, newest_first=True)
            rows = [row for page in pages(trail, backwards, most=number) for row in page]
            latest = trail.query(replace(RecordQuery(limit=1), newest_first=True))
            self._note(rows)
            if latest:
                self._newest = max(self._newest, latest[0][_RECORDED_AT])
                self._note(self._recent(trail, query))
        return rows[::-1]

    def new(self, query: RecordQuery) -> Iterator[list[Row]]:
        """Read what was recorded since, again and again, without end.

        Raises:
            AuditError: the trail was out of reach for too long.
        """
        lost_since: float | None = None
        while True:
            self._pause(LOOK_EVERY_S)
            looked_at = self._fingerprint()
            if looked_at is not None and looked_at == self._looked_at:
                continue
            try:
                with self._reach() as trail:
                    while True:
                        rows = [
                            r for r in self._recent(trail, query) if r[EVENT_ID] not in self._seen
                        ]
                        self._looked_at, lost_since = looked_at, None
                        self._note(rows)
                        if rows:
                            yield rows
                        if not trail.is_live:
                            break
                        self._pause(LOOK_EVERY_S)
            except RiskEngineError:
                now = self._monotonic()
                lost_since = now if lost_since is None else lost_since
                if now - lost_since > PATIENCE_S:
                    raise

    def _recent(self, trail: Trail, query: RecordQuery) -> list[Row]:
        from audit.trail import pages

        since = replace(query, recorded_since=self._newest - OVERLAP_US)
        rows = [row for page in pages(trail, since) for row in page]
        return sorted(rows, key=lambda row: int(row[_RECORDED_AT]))

    def _note(self, rows: list[Row]) -> None:
        for row in rows:
            self._seen[row[EVENT_ID]] = row[_RECORDED_AT]
            self._newest = max(self._newest, row[_RECORDED_AT])
        if len(self._seen) > 10_000:
            kept = self._newest - OVERLAP_US
            self._seen = {name: at for name, at in self._seen.items() if at >= kept}
