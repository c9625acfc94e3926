"""Microseconds per close of the adapter and the simulated terminal, in one process, and where."""

from __future__ import annotations

import asyncio
import cProfile
import io
import pstats
import time
from collections.abc import Iterator

from benchmarks.figures import Figure
from engine.brokers.port import CloseOrder, Position
from engine.outcomes import Verdict
from engine.prices import scenario
from engine.simulated.replay import ReplayBroker, replay_broker

PER_ROUND = 200
HELD = 20
"""Positions that an account holds at a time."""


def close_cost(rounds: int = 7) -> Figure:
    """Read the position, close it, read its deals: without latency, against the aim of 100 us."""
    return asyncio.run(_close_cost(rounds))


async def _close_cost(rounds: int) -> Figure:
    prices = scenario("snb-2015").generate(1)

    async def accounts() -> list[tuple[ReplayBroker, tuple[Position, ...]]]:
        made = []
        for number in range(PER_ROUND // HELD):
            broker = replay_broker(
                f"user-{number}",
                prices=prices,
                deposit=1_000_000.0,
                currency="EUR",
                positions=[("long", 0.1)] * HELD,
                pause=None,
            )
            await broker.connect()
            made.append((broker, await broker.positions()))
        return made

    await _close_all(await accounts())  # warm
    measured = []
    for _ in range(rounds):
        held = await accounts()
        began = time.perf_counter()
        await _close_all(held)
        measured.append((time.perf_counter() - began) / PER_ROUND * 1e6)
    profile = cProfile.Profile()
    held = await accounts()
    profile.enable()
    await _close_all(held)
    profile.disable()
    return Figure(
        name=f"one close at the adapter and the simulated terminal, {HELD} positions an account",
        unit="us",
        values=measured,
        reference_name="the aim",
        reference=[100.0],
        goal="<= 1",
        is_met_by=1.0,
        note="\n  ".join(["where it goes (with the profiler's own cost):", *_where(profile)]),
    )


async def _close_all(held: list[tuple[ReplayBroker, tuple[Position, ...]]]) -> None:
    for broker, positions in held:
        for position in positions:
            (now,) = await broker.positions(ticket=position.ticket)
            answer = await broker.send_close(
                CloseOrder(now.ticket, now.symbol, now.side, now.volume, "R" + "A" * 26)
            )
            deals = await broker.deals_of(now.identifier)
            if answer.verdict is not Verdict.DONE or len(deals) != 2:
                raise RuntimeError(f"position {now.ticket} was not closed: {answer}")


def _where(profile: cProfile.Profile, most: int = 12) -> Iterator[str]:
    """Name the functions that cost most by themselves, in us a close."""
    stats = pstats.Stats(profile, stream=io.StringIO())
    costs = sorted(
        ((own, place) for place, (_, _, own, _, _) in stats.stats.items()),  # type: ignore[attr-defined]
        reverse=True,
    )
    for own, (file, _, function) in costs[:most]:
        short = "/".join(file.replace("\\", "/").split("/")[-2:])
        yield f"{own / PER_ROUND * 1e6:6.1f} us  {short} {function}"
