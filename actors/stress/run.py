"""One stress run, from the first price to the verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

from actors.handle import RiskEngine
from actors.messages import AccountBook, EpisodeReport
from actors.stress.chaos import Chaos, engine_settings
from actors.stress.chaos_figures import ChaosFigures
from actors.stress.plan import StressPlan
from actors.stress.progress import RunView
from actors.stress.summary import Spread, Summary
from actors.stress.venue import OutsideVenue, Venue, opened
from actors.stress.verifying import BookFindings, compare, read_books
from actors.watching import WatchState
from audit.queries import LARGEST_LIMIT, RecordQuery
from audit.records import AuditRecord, EventType, Status
from engine.config import EngineConfig
from engine.models import GuardTrigger, GuardType

_TRIGGERS = UUID("7d4ff1a6-8a3a-5d4b-9c06-4e61d2a4c0de")
_GLANCE_S = 0.2
"""Wall seconds between two looks of the live view."""


@dataclass(frozen=True, slots=True)
class StressOutcome:
    """A run's figures and what they were made from."""

    summary: Summary
    plan: StressPlan
    episodes: Sequence[EpisodeReport]
    closes: Sequence[AuditRecord]
    accepted: Sequence[AuditRecord]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run has left in the store, at the brokers and with the supervisor."""

    accepted: Sequence[AuditRecord]
    episodes: Sequence[EpisodeReport]
    closes: Sequence[AuditRecord]
    books: Sequence[AccountBook]
    stored: int
    chain_problem: str | None
    heard_us: int = 0
    """When the episodes' reports had all come back, µs UTC."""
    failed_watches: int = 0
    chaos: ChaosFigures | None = None


def run_stress(plan: StressPlan, folder: Path, view: RunView) -> StressOutcome:
    """Start an engine, let the plan happen to it, and verify what it did.

    An interrupt (Ctrl-C) while the guards watch or positions are closed ends the watching, lets
    what has begun finish, and is told in the summary; a second one ends at once.

    Args:
        plan: what happens.
        folder: where journal and store are kept; exists.
        view: who is told on the way.

    Raises:
        RiskEngineError: the engine could not be started or lost an actor for good.
        engine.simulated.served.VenueFailed: the venue outside could not be started.
    """
    options = plan.options
    config = EngineConfig(
        namespace=f"stress-{folder.name}-{time.time_ns():x}",
        data_dir=folder,
        audit_url=options.audit or "",
        mode="enforce",
        **engine_settings(options),
    )
    view.phase("starting Ray and the engine")
    began_us = time.time_ns() // 1_000
    with opened(plan) as venue, RiskEngine.start(config) as engine:
        specs = venue.specs(engine)
        view.phase(f"arming {options.accounts} accounts")
        began = time.monotonic()
        engine.add_accounts(specs)
        arming_s = time.monotonic() - began
        chaos = None
        if isinstance(venue, OutsideVenue) and options.chaos_plan is not None:
            chaos = Chaos(options.chaos_plan, venue, engine)
        interrupted = False
        try:
            view.phase(_what_happens(plan))
            _let_it_happen(engine, plan, view, chaos)
        except KeyboardInterrupt:
            interrupted = True
            if chaos is not None:
                chaos.enough()
            view.note("Interrupted: finishing what has begun. Once more to end at once.")
        try:
            if interrupted:
                engine.unwatch()
            found = _gather(engine, venue, chaos, began_us, view)
            if chaos is not None:
                figures = chaos.figures(found, folder, options.settle_window_ms)
                found = replace(found, chaos=figures)
        except KeyboardInterrupt:
            engine.kill()
            raise
    summary = summarise(plan, found, arming_s=arming_s, interrupted=interrupted)
    return StressOutcome(summary, plan, found.episodes, found.closes, found.accepted)


def _gather(
    engine: RiskEngine, venue: Venue, chaos: Chaos | None, began_us: int, view: RunView
) -> Findings:
    """Wait for what has begun, and read what came of this run: the store may hold others."""
    view.phase("waiting for liquidations to end")
    accepted = engine.records(_every(EventType.TRIGGER_ACCEPTED, began_us))
    episodes = engine.reports([r.trigger_id for r in accepted if r.trigger_id is not None])
    heard_us = time.time_ns() // 1_000
    ends = engine.records(_every(EventType.EPISODE_FINISHED, began_us))
    if chaos is not None:
        chaos.stop()
    view.phase("verifying store against book")
    return Findings(
        accepted=accepted,
        episodes=with_ends(episodes, ends),
        closes=engine.records(_every(EventType.POSITION_CLOSED, began_us)),
        books=venue.books(engine),
        heard_us=heard_us,
        stored=len(engine.records(RecordQuery(since=began_us, limit=LARGEST_LIMIT))),
        chain_problem=engine.verify_records(),
        failed_watches=sum(
            account.state == WatchState.FAILED.value for account in engine.status().accounts
        ),
    )


def with_ends(
    episodes: Sequence[EpisodeReport], ends: Sequence[AuditRecord]
) -> list[EpisodeReport]:
    """Date the ends of episodes that a supervisor which was lost since has seen, by the store."""
    ended_us = {record.trigger_id: record.recorded_at or record.occurred_at for record in ends}
    return [
        episode
        if episode.durable_us is not None
        else replace(episode, durable_us=ended_us.get(episode.trigger_id))
        for episode in episodes
    ]


def _every(kind: EventType, since_us: int) -> RecordQuery:
    return RecordQuery(event_types=(kind,), since=since_us, limit=LARGEST_LIMIT)


def _what_happens(plan: StressPlan) -> str:
    if plan.options.trigger == "all":
        return "every account is triggered at the worst moment"
    return f"replaying {len(plan.prices):,} ticks of {plan.prices.symbol}"


def _let_it_happen(
    engine: RiskEngine, plan: StressPlan, view: RunView, chaos: Chaos | None
) -> None:
    if plan.options.trigger == "all":
        ids = engine.submit_many(_triggers(plan))
        if chaos is not None:
            chaos.start()
        while True:
            view.show(engine.status())
            try:
                engine.reports(ids, timeout=_GLANCE_S)
            except TimeoutError:
                continue
            break
    else:
        engine.watch()
        while True:
            view.show(engine.status())
            try:
                engine.watched_out(timeout=_GLANCE_S)
            except TimeoutError:
                continue
            break
    view.show(engine.status())


def _triggers(plan: StressPlan) -> list[GuardTrigger]:
    """Make one critical trigger an account, with ids that a repetition of the run has, too."""
    now = datetime.now(UTC)
    tick = plan.prices.tick(plan.prices.lowest())
    return [
        GuardTrigger(
            user_id=account.user_id,
            guard=GuardType.OPERATOR,
            reason=f"stress: everything at the worst moment of {plan.prices.source}",
            trigger_id=str(uuid5(_TRIGGERS, f"{plan.options.seed}/{account.user_id}")),
            triggered_at=now,
            inputs={
                "ticks": [
                    {
                        "symbol": plan.prices.symbol,
                        "bid": tick.bid,
                        "ask": tick.ask,
                        "time_ms": tick.time_ms,
                    }
                ]
            },
        )
        for account in plan.accounts
    ]


def summarise(
    plan: StressPlan, findings: Findings, *, arming_s: float, interrupted: bool
) -> Summary:
    """Turn what was found into the figures of the run."""
    episodes, closes, books = findings.episodes, findings.closes, findings.books
    options = plan.options
    found: BookFindings = read_books(books)
    mismatches = compare(books, closes)
    triggered = {episode.user_id for episode in episodes}
    makespan_s = _makespan_s(episodes)
    return Summary(
        accounts=options.accounts,
        positions=found.positions,
        triggers=len(episodes),
        closed=found.closed,
        failed=sum(record.status is Status.FAILED for record in closes),
        residual=sum(found.open_by_user[user_id] for user_id in triggered),
        double_closes=found.double_closes,
        audit_records=findings.stored,
        chain_ok=findings.chain_problem is None,
        total_pnl=found.total_pnl,
        currency=plan.currency,
        arming_s=round(arming_s, 3),
        makespan_s=round(makespan_s, 6),
        ideal_s=round(plan.ideal_s([episode.closed for episode in episodes]), 6),
        closes_per_s=round(found.closed / makespan_s, 1) if makespan_s else 0.0,
        time_to_flat_s=Spread.of(times_to_flat_s(episodes)),
        trigger_to_first_order_ms=Spread.of(_to_first_order_ms(episodes, closes)),
        scenario=options.scenario if options.prices is None else plan.prices.source,
        symbol=plan.prices.symbol,
        seed=options.seed,
        latency_ms=options.latency_ms,
        leverage=options.leverage,
        trigger=options.trigger,
        mismatches=mismatches.count,
        mismatch_examples=mismatches.examples,
        chain_problem=findings.chain_problem,
        failed_watches=findings.failed_watches,
        interrupted=interrupted,
        venue=options.venue,
        chaos=findings.chaos,
    )


def _to_first_order_ms(
    episodes: Sequence[EpisodeReport], closes: Sequence[AuditRecord]
) -> list[float]:
    """Return the milliseconds from each trigger to its first order.

    An episode's report knows the orders of the life that has ended it; the records know those of
    the lives before, too.
    """
    sent: dict[str, list[int]] = {e.trigger_id: [] for e in episodes}
    for record in closes:
        if record.trigger_id in sent and record.sent_at is not None:
            sent[record.trigger_id].append(record.sent_at)
    spans = []
    for episode in episodes:
        told = [] if episode.first_sent_us is None else [episode.first_sent_us]
        first = min(told + sent[episode.trigger_id], default=None)
        if first is not None:
            spans.append((first - episode.triggered_us) / 1000)
    return spans


def times_to_flat_s(episodes: Sequence[EpisodeReport]) -> list[float]:
    """Return the seconds from each trigger to the last answer of its account's broker."""
    return [
        (episode.last_answered_us - episode.triggered_us) / 1_000_000
        for episode in episodes
        if episode.last_answered_us is not None
    ]


def _makespan_s(episodes: Sequence[EpisodeReport]) -> float:
    """Return the seconds from the first trigger until the last result was on disk."""
    ends = [episode.durable_us for episode in episodes if episode.durable_us is not None]
    if not ends:
        return 0.0
    return (max(ends) - min(episode.triggered_us for episode in episodes)) / 1_000_000
