"""The outbox: records of many accounts ride to the audit together.

While one batch is on its way the next one gathers, so fifty replies cost a few calls. A batch is
sent until it is acknowledged; the journal takes a record twice without harm. Accounts hand in
what they do not know to be on disk, again and again: what was handed in before is not sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from actors.links import AuditLink
from audit.chain import SealedRecord
from audit.errors import AuditError
from audit.receipts import AppendReceipt
from audit.streams import parse_stream
from engine.clock import Clock
from engine.patience import Patience

_log = logging.getLogger(__name__)

MOST_HELD = 200_000
"""Records held while the audit is away; at this bound the outbox refuses and alarms."""

MOST_IN_ONE_GO = 10_000
"""Records in one call."""


class OutboxFull(AuditError):
    """The audit has been away for too long: no further record can be held."""


class RecordsRefused(AuditError):
    """The audit did not take records: others, which come before them, never reached it."""


class AuditOutbox:
    """Sends records to the audit actor in the order in which they were handed in.

    Args:
        audit: where they go.
        clock: measures pauses.
        patience: how long to pause after a failure.
        own_stream: the supervisor's, whose records nobody else holds.
        answer_s: how long one call to the audit may take before it is made again.
    """

    def __init__(
        self,
        audit: AuditLink,
        clock: Clock,
        patience: Patience,
        own_stream: str,
        *,
        answer_s: float = 30.0,
    ) -> None:
        """Start empty."""
        self._audit = audit
        self._clock = clock
        self._patience = patience
        self._own_stream = own_stream
        self._answer_s = answer_s
        self._waiting: list[SealedRecord] = []
        self._going: Sequence[SealedRecord] = ()
        self._handed_in: dict[str, int] = {}
        self._on_disk: dict[str, int] = {}
        self._waits: list[tuple[Mapping[str, int], asyncio.Future[None]]] = []
        self._unacknowledged = 0
        self._sending: asyncio.Task[None] | None = None
        self.trouble: str | None = None
        """Why the last attempt failed; ``None`` while all is well."""
        self.alarms: list[str] = []

    @property
    def unacknowledged(self) -> int:
        """Records handed in and not yet on disk."""
        return self._unacknowledged

    def on_disk(self, stream: str) -> int:
        """Return the number up to which a stream's records are known to be on disk."""
        return self._on_disk.get(stream, 0)

    def unwritten(self, owner: str) -> tuple[SealedRecord, ...]:
        """Return the records of an owner's streams that are held here and not known on disk."""
        held = (*self._going, *self._waiting)
        theirs = {stream for stream in {r.stream for r in held} if parse_stream(stream)[0] == owner}
        return tuple(r for r in held if r.stream in theirs)

    async def append(self, records: Sequence[SealedRecord]) -> None:
        """Return when the records are on disk; see :meth:`hand_in`.

        Raises:
            OutboxFull: too many are waiting already.
            RecordsRefused: records that come before these never reached the audit.
        """
        await asyncio.shield(self.hand_in(records))

    def hand_in(self, records: Sequence[SealedRecord]) -> asyncio.Future[None]:
        """Take records; what is returned is done when they are on disk.

        To be called at once when a record is sealed: the records of a stream come in order.

        Raises:
            OutboxFull: too many are waiting already. What comes from an account is still held
                there; the records of ``own_stream`` are never refused.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever does not wait need not hear of a refusal: it is an alarm already.
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        new = [r for r in records if r.seq > self._handed_in.get(r.stream, 0)]
        is_full = self._unacknowledged + len(new) > MOST_HELD
        if is_full and any(record.stream != self._own_stream for record in new):
            raise OutboxFull(
                f"{self._unacknowledged} records wait for the audit ({self.trouble}); "
                f"at most {MOST_HELD} are held: bring its disk or process back"
            )
        needs: dict[str, int] = {}
        for record in records:
            needs[record.stream] = max(needs.get(record.stream, 0), record.seq)
        for record in new:
            self._handed_in[record.stream] = record.seq
        self._waiting += new
        self._unacknowledged += len(new)
        if self._are_on_disk(needs):
            written.set_result(None)
            return written
        self._waits.append((needs, written))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return written

    def offer(self, records: Sequence[SealedRecord]) -> asyncio.Future[None] | None:
        """Hand records in; ``None`` if they are not taken: their account holds them."""
        try:
            return self.hand_in(records)
        except AuditError as error:
            _log.error("records were not taken: %s", error)
            return None

    def alarm(self, text: str) -> None:
        """Tell people something."""
        _log.error("%s", text)
        self.alarms.append(text)
        del self.alarms[:-100]

    async def drained(self) -> None:
        """Return when nothing is waiting."""
        while self._sending is not None:
            await asyncio.shield(self._sending)

    def _are_on_disk(self, needs: Mapping[str, int]) -> bool:
        return all(self._on_disk.get(stream, 0) >= seq for stream, seq in needs.items())

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                # Let every reply that has already arrived join this batch.
                await asyncio.sleep(0)
                self._going = going = self._waiting[:MOST_IN_ONE_GO]
                del self._waiting[:MOST_IN_ONE_GO]
                await self._send(going)
                self._going = ()
                self._unacknowledged -= len(going)
                self._tell()
        finally:
            self._sending = None

    def _tell(self) -> None:
        left = []
        for needs, written in self._waits:
            if self._are_on_disk(needs):
                if not written.done():
                    written.set_result(None)
            elif not written.done():
                left.append((needs, written))
        self._waits = left

    async def _send(self, batch: Sequence[SealedRecord]) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(self._answer_s):
                    receipt = await self._audit.append(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, records are not given up
                self.trouble = f"{type(error).__name__}: {error}"
                _log.error("the audit took no records (attempt %d): %s", attempt, self.trouble)
                await self._clock.sleep(self._patience.wait_s(attempt))
                continue
            self.trouble = None
            self._note(batch, receipt)
            return

    def _note(self, batch: Sequence[SealedRecord], receipt: AppendReceipt) -> None:
        apart = {item.record.event_id for item in receipt.set_aside}
        for item in receipt.set_aside:
            self.alarm(f"record {item.record.event_id} was set aside: {item.reason}")
        for stream in sorted(receipt.superseded):
            self.alarm(f"stream {stream} has been superseded and still writes")
        for record in batch:
            if record.event_id in receipt.acknowledged or record.event_id in apart:
                reached = self._on_disk.get(record.stream, 0)
                self._on_disk[record.stream] = max(reached, record.seq)
        for stream, seq in receipt.expected.items():
            self._refuse(stream, seq)

    def _refuse(self, stream: str, expected: int) -> None:
        """Give up on records behind a gap: their writer still holds them and sends them again."""
        trouble = f"the audit needs record {stream}@{expected} first"
        self.alarm(f"records of {stream} were not taken: {trouble}")
        self._handed_in[stream] = expected - 1
        dropped = [r for r in self._waiting if r.stream == stream]
        self._waiting = [r for r in self._waiting if r.stream != stream]
        self._unacknowledged -= len(dropped)
        left = []
        for needs, written in self._waits:
            if stream in needs and not self._are_on_disk(needs):
                if not written.done():
                    written.set_exception(RecordsRefused(trouble))
            else:
                left.append((needs, written))
        self._waits = left
