"""Requests are spaced by the account's share of its broker's budget; closes go first."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import pairwise

import pytest

from engine.outcomes import Outcome
from engine.pace import Pace, Priority
from tests.unit.closing.conftest import Desk
from tests.virtual_time import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


class SharedClock(VirtualClock):
    """Time for many who sleep at once: it moves to the first who wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep: list[tuple[float, int, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heappush(self.asleep, (self.seconds + seconds, len(self.sleeps), woken))
        self.sleeps.append(seconds)
        await woken.wait()

    async def run(self, until: float) -> None:
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            if not self.asleep or self.asleep[0][0] > until:
                return
            self.seconds, _, woken = heappop(self.asleep)
            woken.set()


async def times(pace: Pace, clock: VirtualClock, turns: int) -> list[float]:
    left = []
    for _ in range(turns):
        await pace.turn(Priority.CLOSE)
        left.append(round(clock.seconds, 6))
    return left


async def test_without_a_share_nothing_waits(clock: VirtualClock) -> None:
    assert await times(Pace(clock), clock, 3) == [0, 0, 0]
    assert clock.sleeps == []


async def test_requests_are_spaced_evenly(clock: VirtualClock) -> None:
    pace = Pace(clock)
    pace.set_share(4)
    assert await times(pace, clock, 4) == [0, 0.25, 0.5, 0.75]


async def test_idleness_saves_nothing_up(clock: VirtualClock) -> None:
    pace = Pace(clock)
    pace.set_share(2)
    await times(pace, clock, 1)
    clock.seconds = 100.0
    assert await times(pace, clock, 3) == [100.0, 100.5, 101.0]


async def test_a_share_that_grows_is_felt_by_those_who_wait(clock: VirtualClock) -> None:
    pace = Pace(clock)
    pace.set_share(0.01)
    await pace.turn(Priority.CLOSE)
    waiting = asyncio.create_task(pace.turn(Priority.CLOSE))
    await asyncio.sleep(0)
    pace.set_share(None)
    async with asyncio.timeout(10):
        await waiting
    assert clock.seconds < 2


async def test_closes_overtake_cancels_and_everything_else() -> None:
    clock = SharedClock()
    pace = Pace(clock)
    pace.set_share(10)
    left: list[tuple[str, float]] = []

    async def ask(name: str, priority: Priority) -> None:
        await pace.turn(priority)
        left.append((name, clock.seconds))

    await pace.turn(Priority.CLOSE)
    async with asyncio.TaskGroup() as asking:
        for name, priority in (
            ("other", Priority.OTHER),
            ("cancel", Priority.CANCEL),
            ("close 1", Priority.CLOSE),
            ("close 2", Priority.CLOSE),
        ):
            asking.create_task(ask(name, priority))
        await clock.run(until=100)
    assert [name for name, _ in left] == ["close 1", "close 2", "cancel", "other"]
    assert all(later - earlier >= 0.1 - 1e-9 for (_, earlier), (_, later) in pairwise(left))
    assert clock.seconds < 1


async def test_who_is_cancelled_leaves_the_line(clock: VirtualClock) -> None:
    pace = Pace(clock)
    pace.set_share(1)
    await pace.turn(Priority.CLOSE)
    waiting = [asyncio.create_task(pace.turn(p)) for p in (Priority.CLOSE, Priority.CANCEL)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)
    async with asyncio.timeout(10):
        await pace.turn(Priority.OTHER)
    assert 1 <= clock.seconds < 1.5, "those who left took no turn before it"


@pytest.mark.parametrize("share", [0, -1, float("nan")])
def test_a_share_is_above_nothing(clock: VirtualClock, share: float) -> None:
    with pytest.raises(ValueError, match="per_s="):
        Pace(clock).set_share(share)


async def test_a_turn_without_a_request_is_kept_for_the_next(desk: Desk) -> None:
    """Looking up what is gone already costs nothing of the budget."""
    for ticket in (2, 3):
        desk.broker.add(ticket)
    pace = Pace(desk.clock)
    pace.set_share(0.1)
    account = desk.life(pace=pace)
    assert (await account.close(desk.request(99))).outcome is Outcome.NOT_FOUND
    looked_up = desk.clock.seconds
    await account.close(desk.request(2))
    assert desk.clock.seconds == looked_up
    await account.close(desk.request(3))
    assert desk.clock.seconds == pytest.approx(looked_up + 10), "counted from the request"
