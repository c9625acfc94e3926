"""What chaos has come to: kills, what they interrupted, and whether anything was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import UUID

from actors.messages import AccountBook, EpisodeReport
from actors.stress.chaos_plan import ChaosPlan, Target
from actors.stress.killing import Kill
from audit.history import Verdict
from audit.records import AuditRecord
from engine.brokers.port import DealEntry
from engine.identity import close_tag
from engine.outcomes import Outcome
from engine.outcomes import Verdict as AttemptVerdict
from engine.simulated.served import AccountCounts, VenueBook

_INCONCLUSIVE = (
    AttemptVerdict.ACCEPTED,
    AttemptVerdict.MAYBE_MET,
    AttemptVerdict.UNKNOWN,
    AttemptVerdict.SETTLE_FIRST,
)
_PROVEN = (Outcome.DONE, Outcome.PARTIAL, Outcome.ALREADY_CLOSED)
MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a kill to the next sign of progress; ``None`` without kills."""

    p50: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class ChaosFigures:
    """A run's chaos, counted from the venue's book and the store's records."""

    kills_asked: int
    kills: int
    """Made on a live process with an episode open: an account's own, else anyone's."""
    kills_by_target: Mapping[str, int]
    kills_in_flight: int
    """Accounts killed while an order of theirs was at the venue, unanswered, by its count."""
    unknown_settled: int
    """Closes with a request whose outcome was unknown for a time, and that were proven after
    all."""
    lost: int
    """Positions of triggered accounts that no final record accounts for, or that a record calls
    closed while they are open."""
    final_records: int
    """Final records of closes ..."""
    repeated_records: int
    """... and those of them that are not the only one of their position and key."""
    recovery_s: Recovery
    not_recovered: int
    """Kills after which nothing of what was killed was ever heard of again."""
    history_accepted: bool
    history_problems: Sequence[str]

    @property
    def is_good(self) -> bool:
        """Whether all kills were made, and nothing was lost, doubled or left unexplained."""
        return (
            self.kills == self.kills_asked
            and self.lost == self.repeated_records == self.not_recovered == 0
            and self.history_accepted
        )

    def rows(self) -> list[tuple[str, str]]:
        """Name the figures for people."""
        by_target = ", ".join(f"{number} {name}" for name, number in self.kills_by_target.items())
        recovery = [self.recovery_s.p50, self.recovery_s.max]
        known = [f"{seconds:.3f}" for seconds in recovery if seconds is not None]
        return [
            ("processes killed", f"{self.kills:,} of {self.kills_asked:,} ({by_target})"),
            ("accounts killed with an order in flight", f"{self.kills_in_flight:,}"),
            ("unknown outcomes settled", f"{self.unknown_settled:,}"),
            ("positions lost", f"{self.lost:,}"),
            ("final records / repeated", f"{self.final_records:,} / {self.repeated_records:,}"),
            ("recovery p50 / max", " / ".join(known) + " s" if known else "-"),
            ("never recovered", f"{self.not_recovered:,}"),
            ("history", "accepted" if self.history_accepted else "REFUSED"),
        ]

    def data(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return asdict(self)


def chaos_figures(
    plan: ChaosPlan,
    kills: Sequence[Kill],
    *,
    counts: Mapping[str, AccountCounts],
    venue_books: Mapping[str, VenueBook],
    books: Sequence[AccountBook],
    episodes: Sequence[EpisodeReport],
    closes: Sequence[AuditRecord],
    verdict: Verdict,
) -> ChaosFigures:
    """Count what chaos has come to; mappings are by user.

    A kill counts only if it met an open episode: the killer goes by open positions, and an
    episode may have ended with some left over.
    """
    kills = [kill for kill in kills if _met_an_open_episode(kill, episodes)]
    recoveries = [_recovered_us(kill, venue_books, episodes) for kill in kills]
    times_s = [
        (at - kill.at_us) / 1_000_000
        for kill, at in zip(kills, recoveries, strict=True)
        if at is not None
    ]
    by_key = Counter((r.user_id, str(r.meta_data["position"]), r.meta_data["key"]) for r in closes)
    made = Counter(kill.target for kill in kills)
    return ChaosFigures(
        kills_asked=plan.kills,
        kills=len(kills),
        kills_by_target={target.value: made[target] for target in plan.targets},
        kills_in_flight=sum(_was_in_flight(kill, counts) for kill in kills),
        unknown_settled=sum(_was_settled(record, venue_books) for record in closes),
        lost=_lost(books, {episode.user_id for episode in episodes}, closes),
        final_records=len(closes),
        repeated_records=sum(number - 1 for number in by_key.values()),
        recovery_s=Recovery(
            round(median(times_s), 3) if times_s else None,
            round(max(times_s), 3) if times_s else None,
        ),
        not_recovered=recoveries.count(None),
        history_accepted=verdict.accepted,
        history_problems=[
            f"{found.kind.value}: {found.text}" for found in verdict.violations[:MOST_EXAMPLES]
        ],
    )


def _met_an_open_episode(kill: Kill, episodes: Iterable[EpisodeReport]) -> bool:
    """Whether an episode that the kill concerns was accepted, and its end not yet on disk."""
    return any(
        episode.accepted_us <= kill.at_us
        and (episode.durable_us is None or episode.durable_us > kill.at_us)
        for episode in episodes
        if kill.target is not Target.ACCOUNT or episode.user_id == kill.user_id
    )


def _was_in_flight(kill: Kill, counts: Mapping[str, AccountCounts]) -> bool:
    if kill.target is not Target.ACCOUNT:
        return False
    deaths = counts[kill.user_id].in_flight_at_death
    return any(death.client_pid == kill.pid and death.closed_us >= kill.at_us for death in deaths)


def _recovered_us(
    kill: Kill, books: Mapping[str, VenueBook], episodes: Iterable[EpisodeReport]
) -> int | None:
    """Return when what was killed was at work again."""
    if kill.target is not Target.ACCOUNT:
        return kill.answered_us
    later = [
        entry.arrived_us
        for entry in books[kill.user_id].requests
        if entry.arrived_us > kill.at_us and entry.client_pid != kill.pid
    ]
    ends = [
        episode.durable_us
        for episode in episodes
        if episode.user_id == kill.user_id
        and episode.durable_us is not None
        and episode.durable_us > kill.at_us
    ]
    return min(later + ends, default=None)


def _was_settled(record: AuditRecord, books: Mapping[str, VenueBook]) -> bool:
    """Whether a proven close had a request whose outcome was unknown when it was sent.

    Either its answer proved nothing, or the life that sent it did not live to record it.
    """
    if record.outcome not in _PROVEN or not record.close_id:
        return False
    attempts: Sequence[Mapping[str, Any]] = record.meta_data["attempts"]
    if any(attempt["verdict"] in _INCONCLUSIVE for attempt in attempts):
        return True
    tag = close_tag(UUID(record.close_id))
    arrived = sum(
        entry.request.get("comment") == tag and not entry.is_duplicate
        for entry in books[record.user_id].requests
    )
    return bool(arrived > len(attempts))


def _lost(books: Iterable[AccountBook], triggered: set[str], closes: Iterable[AuditRecord]) -> int:
    recorded: dict[tuple[str, str], set[str]] = {}
    for record in closes:
        name = (record.user_id, str(record.meta_data["position"]))
        recorded.setdefault(name, set()).add(record.outcome or "")
    lost = 0
    for book in books:
        if book.user_id not in triggered:
            continue
        still_open = {str(position.identifier) for position in book.positions}
        entered = {str(d.identifier) for d in book.deals if d.entry is DealEntry.IN}
        for position in entered:
            outcomes = recorded.get((book.user_id, position), set())
            is_called_closed = Outcome.DONE.value in outcomes
            lost += not outcomes or (is_called_closed and position in still_open)
    return lost
