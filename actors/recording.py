"""Recording: an account seals its own records and holds them until they are on disk."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from actors.links import Shipment
from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.events import reversal
from audit.records import AuditRecord
from engine.brokers.port import Position
from engine.clock import Clock
from engine.errors import RiskEngineError
from engine.models import CloseEvidence, CloseRequest, CloseResult

_log = logging.getLogger(__name__)

Ship = Callable[[Sequence[SealedRecord]], Shipment]
"""Sends records to the audit without waiting for it."""

MOST_IN_ONE_GO = 5_000
"""Records in one reply or shipment."""

LONGEST_PAUSE_S = 5.0
"""Between two shipments that fail."""


class RecordKeeper:
    """Seals an account's records and holds each until the audit has acknowledged it.

    A short liquidation's records ride back with its reply, so that fifty accounts cost a few
    calls to the audit and not fifty. A long one's are shipped on the way, at most ``hold_s``
    after the first of them, so that little is lost with the process. Whatever is sent, on either
    way, begins with the oldest record that is not known to be on disk: the journal takes a
    record twice without harm, and none behind a gap.

    While nobody takes records, at most ``most_held`` are held. Beyond that, closes are kept as
    one short summary for each position and key, and sealed when there is room again.

    Args:
        user_id: the account.
        chain: the chain of this life's stream.
        clock: measures how long records have been held.
        ship: sends early; ``None`` never does.
        superseded: told when the audit knows a newer life.
        hold_s: seconds that a record may wait for company.
        most_held: records held while nobody takes them.
    """

    def __init__(
        self,
        user_id: str,
        chain: ChainWriter,
        clock: Clock,
        ship: Ship | None = None,
        *,
        superseded: Callable[[], None] = lambda: None,
        hold_s: float = 0.25,
        most_held: int = 10_000,
    ) -> None:
        """Start with nothing to keep."""
        self._user_id = user_id
        self._chain = chain
        self._clock = clock
        self._ship = ship
        self._superseded = superseded
        self._hold_s = hold_s
        self._most_held = most_held
        self._held: deque[SealedRecord] = deque()
        self._held_since = 0.0
        self._on_the_way: Shipment | None = None
        self._failures = 0
        self._ship_after = 0.0
        self._summaries: OrderedDict[str, AuditRecord] = OrderedDict()
        self.first_sent_us: int | None = None
        self.last_answered_us: int | None = None

    @property
    def held(self) -> int:
        """Records that are not known to be on disk."""
        return len(self._held) + len(self._summaries)

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Record the final result of one close."""
        if evidence.attempts:
            if self.first_sent_us is None:
                self.first_sent_us = evidence.attempts[0].sent_us
            self.last_answered_us = evidence.attempts[-1].answered_us
        if len(self._held) >= self._most_held:
            evidence = replace(evidence, attempts=(), deals=())
            self._summarise(close_record(result, evidence, user_id=self._user_id))
        else:
            self.keep(close_record(result, evidence, user_id=self._user_id))

    def reversal_found(self, position: str, opened: Position, request: CloseRequest) -> None:
        """Record that a net position was turned around."""
        self.keep(
            reversal(
                self._user_id,
                position,
                opened,
                occurred_at=self._clock.wall_us(),
                trigger_id=request.trigger_id,
                initiator=request.initiator,
            )
        )

    def keep(self, record: AuditRecord) -> None:
        """Seal any record of this account."""
        if len(self._held) >= self._most_held:
            self._summarise(record)
            return
        now = self._clock.monotonic()
        if not self._held:
            self._held_since = now
        self._held.append(self._chain.seal(record))
        self._ship_if_due(now)

    def _summarise(self, record: AuditRecord) -> None:
        if not self._summaries:
            _log.critical(
                "account %s holds %d records that nobody takes: from here on it keeps one "
                "summary for each close; bring the audit's disk or process back",
                self._user_id,
                len(self._held),
            )
        self._summaries[record.event_id] = record
        if len(self._summaries) > self._most_held:
            lost = self._summaries.popitem(last=False)[1]
            _log.critical("the record of %s was dropped: %s", self._user_id, lost.description)

    def begin(self) -> None:
        """Start timing a new call."""
        self.first_sent_us = self.last_answered_us = None

    def acknowledged(self, seq: int) -> None:
        """Take note that this life's records up to number ``seq`` are on disk."""
        while self._held and self._held[0].seq <= seq:
            self._held.popleft()
        while self._summaries and len(self._held) < self._most_held:
            _, record = self._summaries.popitem(last=False)
            self._held.append(self._chain.seal(record))

    def take(self) -> tuple[SealedRecord, ...]:
        """Hand over the records that are not known to be on disk, oldest first.

        They are held all the same, until they are acknowledged.
        """
        self._hear_of_shipment()
        if len(self._held) <= MOST_IN_ONE_GO:
            return tuple(self._held)
        return tuple(self._held[n] for n in range(MOST_IN_ONE_GO))

    def _ship_if_due(self, now: float) -> None:
        if self._ship is None or now - self._held_since < self._hold_s:
            return
        self._hear_of_shipment()
        if self._on_the_way is not None or not self._held or now < self._ship_after:
            return
        self._on_the_way = self._ship(self.take())
        self._held_since = now

    def _hear_of_shipment(self) -> None:
        if self._on_the_way is None:
            return
        try:
            receipt = self._on_the_way.receipt()
        except RiskEngineError as error:
            self._on_the_way = None
            self._failures += 1
            pause = min(LONGEST_PAUSE_S, self._hold_s * 2.0 ** min(self._failures, 10))
            self._ship_after = self._clock.monotonic() + pause
            _log.warning("records of %s were not taken: %s", self._user_id, error)
            return
        if receipt is None:
            return
        self._on_the_way = None
        self._failures = 0
        if self._chain.stream in receipt.superseded:
            self._superseded()
        done = {apart.record.event_id for apart in receipt.set_aside} | receipt.acknowledged
        reached = 0
        for record in self._held:
            if record.event_id not in done:
                break
            reached = record.seq
        self.acknowledged(reached)
