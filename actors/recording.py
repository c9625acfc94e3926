"""Recording: an account seals its own records and holds them until they are on disk."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import chain, islice

from actors.links import Shipment
from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.events import reversal
from audit.records import AuditRecord, EventType
from audit.shared_answers import shared_answer_record
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
    one short summary for each position and key, and sealed when there is room again, or when
    their call's reply goes (up to as many again).

    Args:
        user_id: the account.
        stream: numbers and seals this life's records.
        clock: measures how long records have been held.
        ship: sends early; ``None`` never does.
        superseded: told when the audit knows a newer life.
        inherited: records of the stream before, held as if they were this life's own.
        hold_s: seconds that a record may wait for company.
        most_held: records held while nobody takes them.
    """

    def __init__(
        self,
        user_id: str,
        stream: ChainWriter,
        clock: Clock,
        ship: Ship | None = None,
        *,
        superseded: Callable[[], None] = lambda: None,
        inherited: Sequence[SealedRecord] = (),
        hold_s: float = 0.25,
        most_held: int = 10_000,
    ) -> None:
        """Start with nothing to keep."""
        self._user_id = user_id
        self._stream = stream
        self._clock = clock
        self._ship = ship
        self._superseded = superseded
        self._hold_s = hold_s
        self._most_held = most_held
        self._inherited = list(inherited)
        self._held: deque[SealedRecord] = deque()
        self._held_since = 0.0
        self._on_the_way: Shipment | None = None
        self._failures = 0
        self._ship_after = 0.0
        self._summaries: OrderedDict[str, AuditRecord] = OrderedDict()
        self.first_sent_us: int | None = None
        self.last_answered_us: int | None = None
        self.lost_closes: set[str] = set()
        """Close ids of results whose records there was no room for: they are on no disk."""
        self._before_result: Callable[[], None] = lambda: None

    @property
    def held(self) -> int:
        """Records that are not known to be on disk."""
        return len(self._inherited) + len(self._held) + len(self._summaries)

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Record the final result of one close."""
        self._before_result()
        if evidence.attempts:
            if self.first_sent_us is None:
                self.first_sent_us = evidence.attempts[0].sent_us
            self.last_answered_us = evidence.attempts[-1].answered_us
        if self._is_full():
            evidence = replace(evidence, attempts=(), deals=())
            self._summarise(close_record(result, evidence, user_id=self._user_id))
        else:
            self.keep(close_record(result, evidence, user_id=self._user_id))

    def close_answered(self, position: str, request: CloseRequest, answer: CloseResult) -> None:
        """Record that a new key was given another key's full success."""
        now = self._clock.wall_us()
        self.keep(shared_answer_record(position, request, answer, occurred_at=now))

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

    def keep_if_room(self, record: AuditRecord) -> None:
        """Seal a record that is done without while nobody takes any."""
        if not self._is_full():
            self.keep(record)

    def keep(self, record: AuditRecord) -> None:
        """Seal any record of this account."""
        if self._is_full():
            self._summarise(record)
            return
        now = self._clock.monotonic()
        if not self._held:
            self._held_since = now
        self._held.append(self._stream.seal(record))
        self._ship_if_due(now)

    def _is_full(self) -> bool:
        """Whether nothing more can be sealed, though shipments go on and make room."""
        if len(self._held) >= self._most_held:
            self._ship_if_due(self._clock.monotonic())
        return len(self._held) >= self._most_held

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
            lost = self._summaries.pop(self._least_missed())
            if lost.event_type is EventType.POSITION_CLOSED and lost.close_id:
                self.lost_closes.add(lost.close_id)
            _log.critical("the record of %s was dropped: %s", self._user_id, lost.description)

    def _least_missed(self) -> str:
        """Name the summary to do without first: a close only if there is nothing else."""
        closed = EventType.POSITION_CLOSED
        others = (name for name, r in self._summaries.items() if r.event_type is not closed)
        return next(others, next(iter(self._summaries)))

    def begin(self, before_result: Callable[[], None] = lambda: None) -> None:
        """Start timing a new call; ``before_result`` is called before each result is recorded."""
        self.first_sent_us = self.last_answered_us = None
        self._before_result = before_result

    def acknowledged(self, seq: int, inherited: Mapping[str, int] | None = None) -> None:
        """Take note that this life's records up to number ``seq`` are on disk.

        Args:
            seq: number in this life's stream.
            inherited: the same of earlier lives' streams.
        """
        if inherited and self._inherited:
            self._inherited = [r for r in self._inherited if r.seq > inherited.get(r.stream, 0)]
        while self._held and self._held[0].seq <= seq:
            self._held.popleft()
        self._seal_summaries(self._most_held)

    def send(self) -> None:
        """Ship what is held, without waiting for company."""
        self._ship_what_is_held(self._clock.monotonic())

    def take(self) -> tuple[SealedRecord, ...]:
        """Return the records that are not known to be on disk, oldest first.

        They are held all the same, until they are acknowledged.
        """
        self._hear_of_shipment()
        return tuple(islice(chain(self._inherited, self._held), MOST_IN_ONE_GO))

    def hand_over(self) -> tuple[SealedRecord, ...]:
        """Return what :meth:`take` does, and the summaries as well: a reply is about to go."""
        self._hear_of_shipment()
        self._seal_summaries(min(2 * self._most_held, MOST_IN_ONE_GO - len(self._inherited)))
        return self.take()

    def _seal_summaries(self, room: int) -> None:
        while self._summaries and len(self._held) < room:
            _, record = self._summaries.popitem(last=False)
            self._held.append(self._stream.seal(record))

    def _ship_if_due(self, now: float) -> None:
        if now - self._held_since >= self._hold_s:
            self._ship_what_is_held(now)

    def _ship_what_is_held(self, now: float) -> None:
        records = self.take()
        if self._ship is None or self._on_the_way is not None or not records:
            return
        if now < self._ship_after:
            return
        self._on_the_way = self._ship(records)
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
        done = receipt.acknowledged
        if self._stream.stream in receipt.superseded:
            # What was set aside for it is held: the supervisor may still know this life as the
            # newest, and what it hands in then counts.
            self._superseded()
        else:
            done |= {apart.record.event_id for apart in receipt.set_aside}
        self._inherited = [r for r in self._inherited if r.event_id not in done]
        self.acknowledged(_reached(self._held, done))


def _reached(records: Iterable[SealedRecord], done: Set[str]) -> int:
    """Return the number up to which records are done, without a gap."""
    reached = 0
    for record in records:
        if record.event_id not in done:
            break
        reached = record.seq
    return reached
