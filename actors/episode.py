"""One episode: all that one mandate causes, from accepted to its end. None ends unsaid."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.concluding import RELEASED, with_what_waited
from actors.messages import CloseReply, EpisodeReport, EpisodeState
from actors.roster_entry import RosterEntry
from audit.closes import result_of
from audit.events import (
    close_accepted,
    episode_finished,
    mandate_of,
    trigger_accepted,
)
from audit.receipts import FinishedEpisode
from audit.records import AuditRecord, record_of
from engine.clock import to_datetime, to_wall_us
from engine.concluding import refused_entry
from engine.errors import IdempotencyConflict
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import BulkCloseResult, CloseResult


def reason_of(mandate: Mandate) -> str:
    """Return what stands as ``close_reason`` in the results of a mandate."""
    if isinstance(mandate, DirectClose):
        return mandate.reason
    return f"{mandate.guard.value}: {mandate.reason}"


@dataclass(slots=True)
class Episode:
    """An episode that this life of the supervisor works on, or has."""

    mandate: Mandate
    accepted_us: int
    state: EpisodeState = EpisodeState.ACCEPTED
    reply: CloseReply | None = None
    durable: bool = False
    journaled: bool = False
    durable_us: int | None = None
    waiting_until_us: int | None = None
    is_let_go: bool = False
    """An operator has released the account: what waits for its market is left as it is."""
    concludes: bool = False
    """What waited for its market is to end as it is; nothing more is sent."""
    error: str | None = None
    elder: Episode | None = None
    """The account's episode before this one, if that has not had its account's answer yet."""
    written: asyncio.Future[None] | None = None
    """Done when its acceptance is on disk."""
    account: RosterEntry | None = None
    """Whose requests it is to cause now, or as soon as it has its turn."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the account has answered, or will not: the next younger one may have its turn."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        """The episode's name."""
        return episode_id_of(self.mandate)

    def is_due_at(self, account: RosterEntry | None) -> None:
        """Say at which account it will cause requests now; ``None``: at none, for a while."""
        if self.account is not None:
            self.account.due -= 1
            if not self.account.due:
                self.account.share = 0.0
        self.account = account
        if account is not None:
            account.due += 1

    def take(self, reply: CloseReply) -> None:
        """Take its account's answer for what became of it, so far."""
        if self.concludes:
            reply = with_what_waited(self.reply, reply)
        self.reply = reply
        self.error = reply.error or (RELEASED if self.concludes else None)

    @property
    def residual(self) -> int:
        """Positions of its scope that are not gone, or not surely."""
        reply = self.reply
        if reply is None or reply.error:
            return 1
        return reply.still_open or reply.failed or reply.waiting

    @property
    def is_alarming(self) -> bool:
        """Whether its end needs a person: a trigger left something open, or a fate is unknown.

        A direct close that failed is its caller's to know.
        """
        if isinstance(self.mandate, DirectClose) and self.reply is not None:
            return self.reply.unknown > 0
        return self.residual > 0

    def finished_record(self, now_us: int) -> AuditRecord:
        """Make the record of the episode's end; :func:`report_of` reads it back."""
        reply = self.reply
        return episode_finished(
            self.id,
            self.mandate.user_id,
            occurred_at=now_us,
            closed=reply.closed if reply else 0,
            residual=self.residual,
            description=self.error or "",
            details={
                "accepted_us": self.accepted_us,
                "first_sent_us": reply.first_sent_us if reply else None,
                "last_answered_us": reply.last_answered_us if reply else None,
                "trigger_journaled_first": self.journaled,
                "failed": reply.failed if reply else 0,
                "error": self.error,
                "refusal": type(reply.refusal).__name__ if reply and reply.refusal else None,
                "close_ids": list(reply.closes) if reply else [],
                "refused": [dict(item) for item in reply.refused] if reply else [],
            },
        )

    def report(self) -> EpisodeReport:
        """Describe the episode as it stands."""
        reply = self.reply
        nothing = BulkCloseResult.of(reason_of(self.mandate), ())
        return EpisodeReport(
            trigger_id=self.id,
            user_id=self.mandate.user_id,
            state=self.state,
            results=reply.results if reply else pickle.dumps(nothing, protocol=5),
            durable=self.durable,
            triggered_us=_triggered_us(self.mandate, self.accepted_us),
            accepted_us=self.accepted_us,
            first_sent_us=reply.first_sent_us if reply else None,
            last_answered_us=reply.last_answered_us if reply else None,
            durable_us=self.durable_us,
            closed=reply.closed if reply else 0,
            failed=reply.failed if reply else 0,
            error=self.error,
            refusal=type(reply.refusal).__name__ if reply and reply.refusal else None,
            waiting_until_us=self.waiting_until_us,
        )


def report_of(finished: FinishedEpisode) -> EpisodeReport:
    """Describe an episode of an earlier life, from its records: as it was described then."""
    accepted, end = record_of(finished.accepted), record_of(finished.finished)
    mandate, meta = mandate_of(accepted), end.meta_data
    bulk = BulkCloseResult.of(reason_of(mandate), _results(finished, mandate, meta))
    return EpisodeReport(
        trigger_id=finished.trigger_id,
        user_id=finished.user_id,
        state=EpisodeState(end.outcome or ""),
        results=pickle.dumps(bulk, protocol=5),
        durable=True,
        triggered_us=_triggered_us(mandate, _number(meta, "accepted_us") or accepted.occurred_at),
        accepted_us=_number(meta, "accepted_us") or accepted.occurred_at,
        first_sent_us=_number(meta, "first_sent_us"),
        last_answered_us=_number(meta, "last_answered_us"),
        durable_us=end.recorded_at,
        closed=_number(meta, "closed") or 0,
        failed=_number(meta, "failed") or 0,
        error=meta.get("error"),
        refusal=meta.get("refusal"),
    )


def _results(
    finished: FinishedEpisode, mandate: Mandate, meta: Mapping[str, Any]
) -> Iterator[CloseResult]:
    closes = {r.close_id: result_of(r) for r in map(record_of, finished.closes)}
    refused = iter(meta.get("refused", ()))
    for name in meta.get("close_ids", ()):
        if name in closes:
            yield closes[name]
        elif not name:
            item = next(refused)
            yield refused_entry(
                item["position_id"],
                item["ticket"],
                reason_of(mandate),
                error=item["error"],
                now=to_datetime(item["at_us"]),
            )


def refuse_conflict(known: Mandate, mandate: Mandate) -> None:
    """Refuse a name that was used for something else.

    Raises:
        IdempotencyConflict: the two differ in account or scope.
    """
    if (known.user_id, known.positions) != (mandate.user_id, mandate.positions):
        raise IdempotencyConflict(
            f"trigger_id={episode_id_of(mandate)!r} is used for account {known.user_id!r} and for "
            f"account {mandate.user_id!r} or another scope; nothing was done: use a new "
            "trigger_id for a new trigger"
        )


def _triggered_us(mandate: Mandate, accepted_us: int) -> int:
    if isinstance(mandate, DirectClose):
        return accepted_us
    return to_wall_us(mandate.triggered_at)


def _number(meta: Mapping[str, Any], name: str) -> int | None:
    value = meta.get(name)
    return value if isinstance(value, int) else None


def accepted_record(mandate: Mandate, now_us: int) -> AuditRecord:
    """Record that an episode was opened for a mandate."""
    if isinstance(mandate, DirectClose):
        return close_accepted(mandate, occurred_at=now_us)
    return trigger_accepted(mandate, occurred_at=now_us)
