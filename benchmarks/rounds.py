"""Rounds: the open positions of all accounts, dealt out, so that one engine is measured often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from actors.handle import RiskEngine
from actors.messages import EpisodeReport, EpisodeState
from actors.registry import Shared
from engine.brokers.account_spec import AccountSpec
from engine.models import GuardTrigger, GuardType, PositionRef
from engine.prices import scenario

Round = Mapping[str, tuple[PositionRef, ...]]
"""What is closed of each account, by user id."""


def simulated_accounts(
    engine: RiskEngine, accounts: int, positions: int, latency_ms: float
) -> list[AccountSpec]:
    """Share the prices, and return accounts that are simulated in their actors' own processes."""
    engine.share("prices", scenario("snb-2015").generate(1))
    return [
        AccountSpec(
            user_id=f"user-{number:03d}",
            broker="engine.simulated.replay:replay_broker",
            options={
                "prices": Shared("prices"),
                "deposit": 1_000_000.0,
                "currency": "EUR",
                "positions": [("long", 0.1)] * positions,
                "latency_ms": latency_ms,
            },
        )
        for number in range(accounts)
    ]


def dealt(engine: RiskEngine, size: int) -> list[Round]:
    """Deal the open positions out to rounds of ``size`` positions an account."""
    rounds: list[dict[str, tuple[PositionRef, ...]]] = []
    for user_id in engine.accounts():
        held = engine.book(user_id).positions
        for number, start in enumerate(range(0, len(held), size)):
            if number == len(rounds):
                rounds.append({})
            rounds[number][user_id] = tuple(
                PositionRef(p.position_id, p.ticket) for p in held[start : start + size]
            )
    return list(rounds)


def pairs_of(rounds: Sequence[Round]) -> Iterator[tuple[tuple[bool, Round], ...]]:
    """Pair rounds up, one disturbed and one not; which of them is first alternates.

    Yields:
        Two rounds, each with whether it is the disturbed one.
    """
    for number, (one, other) in enumerate(zip(rounds[::2], rounds[1::2], strict=True)):
        is_first = number % 2 == 1
        yield (is_first, one), (not is_first, other)


def triggers_for(closed: Round) -> list[GuardTrigger]:
    """Make the triggers of a round, dated now: one an account, in the round's order."""
    return [
        GuardTrigger(user_id, GuardType.OPERATOR, "benchmark", positions=scope)
        for user_id, scope in closed.items()
    ]


def flat_reports(engine: RiskEngine, trigger_ids: Sequence[str]) -> list[EpisodeReport]:
    """Wait for a round's episodes.

    Raises:
        RuntimeError: one did not end flat and on disk: there is nothing to measure.
    """
    reports = engine.reports(trigger_ids)
    bad = [r for r in reports if r.state is not EpisodeState.FLAT or not r.durable or r.failed]
    if bad:
        raise RuntimeError(f"{len(bad)} of {len(reports)} episodes did not end flat: {bad[0]}")
    return reports


def let_close(engine: RiskEngine, trigger_ids: Sequence[str], seconds: float) -> None:
    """Let time pass in which the episodes go on.

    Raises:
        RuntimeError: they ended meanwhile: what was to befall them in their midst comes too late.
    """
    try:
        engine.reports(trigger_ids, timeout=seconds)
    except TimeoutError:
        return
    raise RuntimeError(
        f"the round was over within {seconds:g} s; give it more positions or more latency"
    )
