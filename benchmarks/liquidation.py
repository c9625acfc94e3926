"""Mass liquidation on real Ray actors: against a bare fan-out, and against latency alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from actors.handle import RiskEngine
from actors.messages import EpisodeState
from actors.placement import ActorRef
from actors.registry import Shared
from benchmarks.figures import Figure
from engine.brokers.account_spec import AccountSpec
from engine.config import EngineConfig
from engine.models import GuardTrigger, GuardType, PositionRef
from engine.prices import scenario


class Bare:
    """An actor that does nothing: what Ray itself costs."""

    def nothing(self) -> None:
        """Do nothing."""


def fan_out(accounts: int = 50, positions: int = 10, rounds: int = 7) -> Figure:
    """Liquidate without latency, durably, against one no-op call to as many bare actors."""
    bare: Any = ray.remote(num_cpus=0)(Bare)
    actors = [bare.remote() for _ in range(accounts)]
    ray.get([actor.nothing.remote() for actor in actors])
    with _armed(accounts, positions * (rounds + 1), latency_ms=0.0) as (engine, arming_s):
        batches = _rounds(engine, positions)
        _liquidate(engine, batches[0])  # warm: first calls open connections
        measured, reference = [], []
        for batch in batches[1:]:
            reference.append(_timed_fan_out(actors))
            measured.append(_liquidate(engine, batch))
            reference.append(_timed_fan_out(actors))
    for actor in actors:
        ray.kill(actor)
    return Figure(
        name=f"mass liquidation, {accounts} accounts x {positions}, no latency, durable",
        unit="ms",
        values=measured,
        reference_name=f"one no-op call to {accounts} bare actors",
        reference=reference,
        goal="<= 2",
        is_met_by=2.0,
        note=f"arming {arming_s:.1f} s, not counted; "
        f"{accounts * positions / (sorted(measured)[len(measured) // 2] / 1000):,.0f} closes/s",
    )


def with_latency(
    accounts: int = 50, positions: int = 20, rounds: int = 5, latency_ms: float = 20.0
) -> Figure:
    """Liquidate with latency on every order, against the latency alone."""
    with _armed(accounts, positions * (rounds + 1), latency_ms) as (engine, arming_s):
        batches = _rounds(engine, positions)
        _liquidate(engine, batches[0])
        measured = [_liquidate(engine, batch) for batch in batches[1:]]
    return Figure(
        name=f"makespan, {accounts} accounts x {positions}, {latency_ms:g} ms an order, durable",
        unit="ms",
        values=measured,
        reference_name="positions x latency",
        reference=[positions * latency_ms],
        goal="<= 1.15",
        is_met_by=1.15,
        note=f"arming {arming_s:.1f} s, not counted",
    )


@contextmanager
def _armed(accounts: int, positions: int, latency_ms: float) -> Iterator[tuple[RiskEngine, float]]:
    with tempfile.TemporaryDirectory() as folder:
        config = EngineConfig(namespace=f"bench-{time.time_ns():x}", data_dir=Path(folder))
        with RiskEngine.start(config) as engine:
            engine.share("prices", scenario("snb-2015").generate(1))
            began = time.perf_counter()
            engine.add_accounts(
                [
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
            )
            yield engine, time.perf_counter() - began


def _rounds(engine: RiskEngine, size: int) -> list[list[GuardTrigger]]:
    """Deal the open positions out to rounds: one trigger an account and round."""
    triggers: list[list[GuardTrigger]] = []
    for user_id in engine.accounts():
        held = engine.book(user_id).positions
        for number, start in enumerate(range(0, len(held), size)):
            if number == len(triggers):
                triggers.append([])
            scope = tuple(PositionRef(p.position_id, p.ticket) for p in held[start : start + size])
            triggers[number].append(
                GuardTrigger(user_id, GuardType.OPERATOR, "benchmark", positions=scope)
            )
    return triggers


def _liquidate(engine: RiskEngine, triggers: Sequence[GuardTrigger]) -> float:
    """Return the milliseconds from handing in the triggers to holding results that are on disk."""
    began = time.perf_counter()
    reports = engine.reports(engine.submit_many(triggers))
    elapsed = time.perf_counter() - began
    bad = [r for r in reports if r.state is not EpisodeState.FLAT or not r.durable or r.failed]
    if bad:
        raise RuntimeError(f"{len(bad)} of {len(reports)} episodes did not end flat: {bad[0]}")
    return elapsed * 1000


def _timed_fan_out(actors: Sequence[ActorRef]) -> float:
    began = time.perf_counter()
    ray.get([actor.nothing.remote() for actor in actors])
    return (time.perf_counter() - began) * 1000
