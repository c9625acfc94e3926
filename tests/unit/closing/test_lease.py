"""The holder's side of a lease: it ends before the granter's, and is never used after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from engine.errors import BrokerUnavailable
from engine.lease import Lease, LeaseLost, NoLease
from tests.virtual_time import VirtualClock

LENGTH_S = 20.0


class Granter:
    """Answers requests for a lease as the test says; every request takes ``takes_s``."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked: list[float] = []
        self.takes_s = 0.0
        self.superseded = False
        self.away_until = 0.0

    async def renew(self, asked_at: float) -> bool:
        self.asked.append(asked_at)
        self.clock.seconds += self.takes_s
        await asyncio.sleep(0)
        if self.clock.seconds < self.away_until:
            raise BrokerUnavailable("nobody answers")
        return not self.superseded


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def granter(clock: VirtualClock) -> Granter:
    return Granter(clock)


@pytest.fixture
def lease(clock: VirtualClock, granter: Granter) -> Lease:
    return Lease(clock, LENGTH_S, granter.renew, patience_s=60.0)


def test_nothing_may_be_sent_before_the_first_grant(lease: Lease) -> None:
    assert not lease.holds
    with pytest.raises(LeaseLost):
        lease.check()


def test_it_counts_from_the_moment_of_asking(lease: Lease, clock: VirtualClock) -> None:
    clock.seconds = 5.0
    lease.grant(asked_at=0.0)
    clock.seconds = 19.999
    lease.check()
    clock.seconds = 20.0
    with pytest.raises(LeaseLost, match="run out"):
        lease.check()


def test_a_grant_that_comes_out_of_order_shortens_nothing(
    lease: Lease, clock: VirtualClock
) -> None:
    lease.grant(asked_at=10.0)
    lease.grant(asked_at=0.0)
    clock.seconds = 29.0
    assert lease.holds


def test_a_revoked_lease_is_never_held_again(lease: Lease) -> None:
    lease.grant(asked_at=0.0)
    lease.revoke("life 2 has begun")
    lease.revoke("something else")
    lease.grant(asked_at=1.0)
    assert lease.is_revoked
    assert not lease.holds
    with pytest.raises(LeaseLost, match="life 2 has begun"):
        lease.check()


async def test_a_held_lease_is_secured_without_asking(lease: Lease, granter: Granter) -> None:
    lease.grant(asked_at=0.0)
    await lease.secured()
    assert granter.asked == []


async def test_it_asks_when_it_has_run_out(
    lease: Lease, granter: Granter, clock: VirtualClock
) -> None:
    clock.seconds = 100.0
    granter.takes_s = 3.0
    await lease.secured()
    assert granter.asked == [100.0]
    clock.seconds = 119.9
    assert lease.holds
    clock.seconds = 120.0
    assert not lease.holds, "counted from the asking, not from the answer"


async def test_it_waits_for_a_granter_that_is_away(lease: Lease, granter: Granter) -> None:
    granter.away_until = 30.0
    await lease.secured()
    assert lease.holds
    assert 30.0 <= granter.asked[-1] < 31.0


async def test_its_patience_is_bounded(lease: Lease, granter: Granter, clock: VirtualClock) -> None:
    granter.away_until = 1e9
    with pytest.raises(LeaseLost, match="not renewed"):
        await lease.secured()
    assert 60.0 <= clock.seconds <= 63.0


async def test_a_newer_life_ends_the_waiting_at_once(
    lease: Lease, granter: Granter, clock: VirtualClock
) -> None:
    granter.superseded = True
    with pytest.raises(LeaseLost, match="newer life"):
        await lease.secured()
    assert clock.seconds == 0
    assert lease.is_revoked


async def test_an_answer_that_took_longer_than_the_lease_secures_nothing(
    lease: Lease, granter: Granter
) -> None:
    granter.takes_s = LENGTH_S + 1
    with pytest.raises(LeaseLost):
        await lease.secured()


async def run_until(task: asyncio.Task[None], over: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if over() or task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def test_keeping_renews_at_half_time_and_never_lapses(granter: Granter) -> None:
    held: list[bool] = []

    class Watched(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            held.append(kept.holds)

    clock = granter.clock = Watched()
    kept = Lease(clock, LENGTH_S, granter.renew)
    kept.grant(asked_at=0.0)
    await run_until(asyncio.create_task(kept.keep()), lambda: clock.seconds > 100)
    assert held
    assert all(held)
    assert granter.asked[:3] == [10.0, 20.0, 30.0]


async def test_keeping_goes_on_while_the_granter_is_away(
    lease: Lease, granter: Granter, clock: VirtualClock
) -> None:
    lease.grant(asked_at=0.0)
    granter.away_until = 50.0
    await run_until(asyncio.create_task(lease.keep()), lambda: clock.seconds > 50 and lease.holds)
    assert lease.holds


async def test_keeping_ends_when_a_newer_life_has_begun(lease: Lease, granter: Granter) -> None:
    granter.superseded = True
    async with asyncio.timeout(10):
        await lease.keep()
    assert lease.is_revoked


async def test_without_a_lease_everything_is_permitted() -> None:
    permit = NoLease()
    permit.check()
    await permit.secured()
