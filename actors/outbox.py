"""The outbox: records of many accounts ride to the audit together.

While one batch is on its way the next one gathers, so fifty replies cost a few calls. A batch is
sent until it is acknowledged; the journal takes a record twice without harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from actors.links import ActorLost, AuditLink
from audit.chain import SealedRecord
from audit.errors import AuditError
from engine.clock import Clock
from engine.patience import Patience

_log = logging.getLogger(__name__)

MOST_HELD = 200_000
"""Records held while the audit is away; at this bound the outbox refuses and alarms."""


class OutboxFull(AuditError):
    """The audit has been away for too long: no further record can be held."""


class AuditOutbox:
    """Sends records to the audit actor in the order in which they were handed in."""

    def __init__(self, audit: AuditLink, clock: Clock, patience: Patience) -> None:
        """Start empty."""
        self._audit = audit
        self._clock = clock
        self._patience = patience
        self._waiting: list[tuple[Sequence[SealedRecord], asyncio.Future[None]]] = []
        self._unacknowledged = 0
        self._sending: asyncio.Task[None] | None = None
        self.trouble: str | None = None
        """Why the last attempt failed; ``None`` while all is well."""
        self.alarms: list[str] = []

    @property
    def unacknowledged(self) -> int:
        """Records handed in and not yet on disk."""
        return self._unacknowledged

    async def append(self, records: Sequence[SealedRecord]) -> None:
        """Return when the records are on disk.

        Raises:
            OutboxFull: too many are waiting already.
        """
        if not records:
            return
        if self._unacknowledged + len(records) > MOST_HELD:
            raise OutboxFull(
                f"{self._unacknowledged} records wait for the audit ({self.trouble}); "
                f"at most {MOST_HELD} are held: bring its disk or process back"
            )
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, written))
        self._unacknowledged += len(records)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        await asyncio.shield(written)

    async def drained(self) -> None:
        """Return when nothing is waiting."""
        while self._sending is not None:
            await asyncio.shield(self._sending)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                # Let every reply that has already arrived join this batch.
                await asyncio.sleep(0)
                going, self._waiting = self._waiting, []
                batch = [record for records, _ in going for record in records]
                await self._send(batch)
                self._unacknowledged -= len(batch)
                for _, written in going:
                    if not written.done():
                        written.set_result(None)
        finally:
            self._sending = None

    async def _send(self, batch: Sequence[SealedRecord]) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                receipt = await self._audit.append(batch)
            except (ActorLost, AuditError) as error:
                self.trouble = f"{type(error).__name__}: {error}"
                _log.error("the audit took no records (attempt %d): %s", attempt, self.trouble)
                await self._clock.sleep(self._patience.wait_s(attempt))
                continue
            self.trouble = None
            for item in receipt.set_aside:
                self._alarm(f"record {item.record.event_id} was set aside: {item.reason}")
            for stream in receipt.superseded:
                self._alarm(f"stream {stream} has been superseded and still writes")
            return

    def _alarm(self, text: str) -> None:
        _log.error("%s", text)
        self.alarms.append(text)
        del self.alarms[:-100]
