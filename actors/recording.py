"""Recording: an account's results become sealed records, shipped before they pile up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.records import AuditRecord
from engine.clock import Clock
from engine.models import CloseEvidence, CloseResult

Confirmed = Callable[[], bool]
"""Whether a shipped batch is on disk by now; never blocks, never raises."""

Ship = Callable[[Sequence[SealedRecord]], Confirmed]
"""Sends records to the audit without waiting for it."""


class RecordKeeper:
    """Seals an account's records and holds them until the audit has them.

    A short liquidation's records ride back with its reply, so that fifty accounts cost a few
    calls to the audit and not fifty. A long one's are shipped on the way, at most ``hold_s``
    after the first of them, so that little is lost with the process. What was shipped and is not
    confirmed rides back as well: the journal takes a record twice without harm.

    Args:
        user_id: the account.
        chain: the chain of this life's stream.
        clock: measures how long records have been held.
        ship: sends early; ``None`` never does.
        hold_s: seconds that a record may wait for company.
    """

    def __init__(
        self,
        user_id: str,
        chain: ChainWriter,
        clock: Clock,
        ship: Ship | None = None,
        hold_s: float = 0.25,
    ) -> None:
        """Start with nothing to keep."""
        self._user_id = user_id
        self._chain = chain
        self._clock = clock
        self._ship = ship
        self._hold_s = hold_s
        self._held: list[SealedRecord] = []
        self._held_since = 0.0
        self._shipped: list[tuple[tuple[SealedRecord, ...], Confirmed]] = []
        self.first_sent_us: int | None = None
        self.last_answered_us: int | None = None

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Record the final result of one close."""
        if evidence.attempts:
            if self.first_sent_us is None:
                self.first_sent_us = evidence.attempts[0].sent_us
            self.last_answered_us = evidence.attempts[-1].answered_us
        self.keep(close_record(result, evidence, user_id=self._user_id))

    def keep(self, record: AuditRecord) -> None:
        """Seal any record of this account."""
        now = self._clock.monotonic()
        if not self._held:
            self._held_since = now
        self._held.append(self._chain.seal(record))
        if self._ship is not None and now - self._held_since >= self._hold_s:
            batch = tuple(self._held)
            self._held.clear()
            self._shipped.append((batch, self._ship(batch)))

    def begin(self) -> None:
        """Start timing a new call."""
        self.first_sent_us = self.last_answered_us = None

    def take(self) -> tuple[SealedRecord, ...]:
        """Hand over all records that are not confirmed, oldest first."""
        pending = [r for batch, confirmed in self._shipped if not confirmed() for r in batch]
        pending += self._held
        self._shipped.clear()
        self._held.clear()
        return tuple(pending)
