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
from actors.placement import ActorRef
from benchmarks.figures import Figure
from benchmarks.rounds import Round, dealt, flat_reports, simulated_accounts, triggers_for
from engine.config import EngineConfig


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
        rounds_dealt = dealt(engine, positions)
        _liquidate(engine, rounds_dealt[0])  # warm: first calls open connections
        measured, reference = [], []
        for closed in rounds_dealt[1:]:
            reference.append(_timed_fan_out(actors))
            measured.append(_liquidate(engine, closed))
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
        rounds_dealt = dealt(engine, positions)
        _liquidate(engine, rounds_dealt[0])
        measured = [_liquidate(engine, closed) for closed in rounds_dealt[1:]]
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
            specs = simulated_accounts(engine, accounts, positions, latency_ms)
            began = time.perf_counter()
            engine.add_accounts(specs)
            yield engine, time.perf_counter() - began


def _liquidate(engine: RiskEngine, closed: Round) -> float:
    """Return the milliseconds from handing in the triggers to holding results that are on disk."""
    triggers = triggers_for(closed)
    began = time.perf_counter()
    flat_reports(engine, engine.submit_many(triggers))
    return (time.perf_counter() - began) * 1000


def _timed_fan_out(actors: Sequence[ActorRef]) -> float:
    began = time.perf_counter()
    ray.get([actor.nothing.remote() for actor in actors])
    return (time.perf_counter() - began) * 1000
