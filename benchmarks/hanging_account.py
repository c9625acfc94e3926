"""One account's broker hangs for ever: what the other accounts notice of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from actors.handle import RiskEngine
from actors.stress.run import times_to_flat_s
from audit.queries import RecordQuery
from audit.records import EventType
from benchmarks.figures import Figure
from benchmarks.rounds import Round, dealt, flat_reports, let_close, pairs_of, triggers_for
from engine.brokers.port import Side
from engine.config import EngineConfig
from engine.simulated.served import (
    PriceSource,
    ServedAccount,
    VenueBehaviour,
    VenuePlan,
    VenueProcess,
)

HUNG = 1
"""Login of the account that hangs; it is the first of every round."""
HANG_AFTER_S = 0.5
"""From the triggers to the hang: some positions are closed by then."""
SILENCE_S = 4.0
"""After so long without a sign the watchdog kills, while the others still close."""
HANG_S = SILENCE_S + 2.0
"""The venue answers again after that: to the process's successor."""
ENDLESS_S = 600.0
"""How long a call to the venue waits for its answer: longer than any hang here."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How the hung account fared."""

    others_flat_us: int
    """Wall time at which the first of the others was flat."""
    flat_ms: float
    """From the venue's answering again until the account was flat."""
    latency_ms: float
    """What of it the venue's latency took."""


def others_time_to_flat(
    accounts: int = 8, positions: int = 20, pairs: int = 5, latency_ms: float = 300.0
) -> Figure:
    """Liquidate with one account's calls hanging in mid-liquidation, against the same without.

    The hang lasts until the watchdog has killed the account's process and a new one waits.
    """
    quiet: list[float] = []
    disturbed: list[float] = []
    recoveries: list[Recovery] = []
    venue = VenueProcess(_plan(accounts, positions * (2 * pairs + 1), latency_ms))
    with tempfile.TemporaryDirectory() as folder, venue:
        config = EngineConfig(
            namespace=f"bench-{time.time_ns():x}",
            data_dir=Path(folder),
            settle_window_s=1.0,
            send_deadline_s=3.0,
            silence_s=SILENCE_S,
            lease_s=3.0,
        )
        with RiskEngine.start(config) as engine:
            engine.add_accounts(venue.specs(timeout_s=ENDLESS_S))
            warm, *rounds = dealt(engine, positions)
            _liquidate(engine, venue, warm, None)
            for pair in pairs_of(rounds):
                for hangs, closed in pair:
                    measured = disturbed if hangs else quiet
                    measured.append(
                        _liquidate(engine, venue, closed, recoveries if hangs else None)
                    )
            _check_kills(engine, recoveries)
    return Figure(
        name=f"the others' median time to flat while one of {accounts} accounts hangs, is killed "
        f"and replaced; {positions} positions each, {latency_ms:g} ms an order",
        unit="ms",
        values=disturbed,
        reference_name="the same without a hang, interleaved",
        reference=quiet,
        goal="<= 1.1 or within 100 ms",
        is_met_by=1.1,
        or_within=100.0,
        is_paired=True,
        note=_told(recoveries),
    )


def _plan(accounts: int, positions: int, latency_ms: float) -> VenuePlan:
    return VenuePlan(
        prices=PriceSource(scenario="snb-2015"),
        accounts=tuple(
            ServedAccount(
                login=login,
                user_id=_user(login),
                deposit=1_000_000.0,
                currency="EUR",
                positions=((Side.LONG, 0.1),) * positions,
            )
            for login in range(HUNG, HUNG + accounts)
        ),
        behaviour=VenueBehaviour(latency_ms=latency_ms),
    )


def _user(login: int) -> str:
    return f"user-{login:03d}"


def _liquidate(
    engine: RiskEngine, venue: VenueProcess, closed: Round, recoveries: list[Recovery] | None
) -> float:
    """Return the other accounts' median milliseconds from trigger to flat.

    Args:
        engine: whose accounts they are.
        venue: where they are.
        closed: the round.
        recoveries: takes how the hung account fared; nothing hangs if ``None``.
    """
    ids = engine.submit_many(triggers_for(closed))
    let_close(engine, ids, HANG_AFTER_S)
    if recoveries is not None:
        venue.control.hang(HUNG, HANG_S)
    answers_again_us = time.time_ns() // 1_000 + round(HANG_S * 1e6)
    _, *others = flat_reports(engine, ids)
    if recoveries is not None:
        book = venue.control.book(HUNG)
        after = [moment for moment in book.deals_us if moment > answers_again_us]
        if not after:
            raise RuntimeError("the account that hung was flat before its venue answered again")
        latency_ms = venue.plan.behaviour.latency_ms * len(after)
        flat_ms = (after[-1] - answers_again_us) / 1_000
        ends = [report.last_answered_us or 0 for report in others]
        recoveries.append(Recovery(min(ends), flat_ms, latency_ms))
    return median(times_to_flat_s(others)) * 1_000


def _check_kills(engine: RiskEngine, recoveries: Sequence[Recovery]) -> None:
    """See to it that every hang, and nothing else, ended with a kill while the others closed."""
    kills = engine.records(RecordQuery(event_types=(EventType.ACTOR_KILLED,)))
    killed = [kill.user_id for kill in kills]
    if killed != [_user(HUNG)] * len(recoveries):
        raise RuntimeError(
            f"the watchdog killed {killed}; it should have killed {_user(HUNG)} "
            f"{len(recoveries)} times"
        )
    for kill, recovery in zip(kills, recoveries, strict=True):
        if kill.occurred_at > recovery.others_flat_us:
            raise RuntimeError(
                "the watchdog killed after the others were flat: give them more positions"
            )


def _told(recoveries: Sequence[Recovery]) -> str:
    flat_ms = [recovery.flat_ms for recovery in recoveries]
    rest_ms = [recovery.flat_ms - recovery.latency_ms for recovery in recoveries]
    return (
        f"the account that hung was flat {median(flat_ms):,.0f} ms after its venue answered again "
        f"(at most {max(flat_ms):,.0f}), {median(rest_ms):,.0f} ms more than the latency of what "
        "it still had to close"
    )
