"""When a locked account is looked at: growing intervals that fall back. All around it is fake."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.episodes import Episodes
from actors.links import ActorLost
from actors.lockout import Lockout
from actors.messages import EpisodeState, Exposure
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.receipts import AccountLock
from engine.config import EngineConfig
from engine.errors import BrokerUnavailable
from engine.identity import sweep_trigger_id
from engine.models import GuardTrigger
from tests.virtual_time import VirtualClock

FLAT = Exposure(0, 0)


class StoppingClock(VirtualClock):
    """Stands still after so many sleeps."""

    def __init__(self, sleeps: int) -> None:
        super().__init__()
        self.left = sleeps
        self.stopped = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if not self.left:
            self.stopped.set()
            await asyncio.Event().wait()
        self.left -= 1
        await super().sleep(seconds)


class Account:
    """What is seen at each look, and how each sweep ends; plays roster, episodes and outbox."""

    def __init__(self, *seen: Exposure | Exception) -> None:
        self.seen = list(seen)
        self.looks = self.revived = 0
        self.waiting: int | None = 0
        self.ends = EpisodeState.FLAT
        self.swept: list[GuardTrigger] = []
        self.alarms: list[str] = []

    def __contains__(self, user_id: str) -> bool:
        return user_id == "ann"

    async def call(self, _: str, __: object) -> Exposure:
        self.looks += 1
        seen = self.seen.pop(0) if self.seen else FLAT
        if isinstance(seen, Exception):
            raise seen
        return seen

    async def revive(self, _: str) -> None:
        self.revived += 1

    def waiting_positions(self, _: str) -> int | None:
        return self.waiting

    async def submit(self, triggers: list[GuardTrigger], *, is_locked: bool) -> None:
        assert is_locked
        self.swept += triggers
        self.waiting = None

    async def ended(self, _: str) -> Any:
        self.waiting = 0
        return SimpleNamespace(state=self.ends)

    def alarm(self, text: str) -> None:
        self.alarms.append(text)


async def watched(account: Account, looks: int) -> list[float]:
    """Lock the account, and return the pauses before so many looks."""
    clock = StoppingClock(looks)
    lockout = Lockout(
        cast("Roster", account),
        cast("Episodes", account),
        cast("AuditOutbox", account),
        clock,
        EngineConfig(sweep_first_s=1.0, sweep_longest_s=10.0),
    )
    lockout.restore([AccountLock("ann", "t", 0, 4)])
    lockout.sweep("ann")
    async with asyncio.timeout(10):
        await clock.stopped.wait()
    lockout.stop()
    return clock.sleeps


async def test_a_flat_account_is_looked_at_at_growing_intervals() -> None:
    account = Account()
    assert await watched(account, 7) == [1, 2, 4, 8, 10, 10, 10]
    assert account.swept == []


async def test_intervals_fall_back_when_something_was_swept() -> None:
    account = Account(FLAT, FLAT, Exposure(2, 0), FLAT, FLAT, Exposure(0, 1), FLAT)
    assert await watched(account, 8) == [1, 2, 4, 1, 2, 4, 1, 2]
    assert [t.trigger_id for t in account.swept] == [sweep_trigger_id("t", n) for n in (5, 6)]
    assert [t.inputs["sweep"] for t in account.swept] == [5, 6]
    assert len(account.alarms) == 2


async def test_what_cannot_be_closed_is_swept_at_growing_intervals() -> None:
    account = Account(*[Exposure(1, 0)] * 10)
    account.ends = EpisodeState.RESIDUAL
    assert await watched(account, 6) == [1, 2, 4, 8, 10, 10]
    assert len(account.swept) == 6


async def test_while_an_episode_is_at_work_it_is_left_alone_and_looked_at_soon_after() -> None:
    account = Account(Exposure(1, 0))
    account.waiting = None
    assert await watched(account, 3) == [1, 1, 1]
    assert account.looks == 0


@pytest.mark.parametrize(
    ("seen", "sweeps"), [(Exposure(2, 0), 0), (Exposure(3, 0), 1), (Exposure(2, 1), 1)]
)
async def test_what_waits_for_its_market_alone_is_not_swept(seen: Exposure, sweeps: int) -> None:
    account = Account(seen)
    account.waiting = 2
    await watched(account, 1)
    assert len(account.swept) == sweeps


async def test_an_account_that_cannot_be_looked_at_is_looked_at_again() -> None:
    account = Account(ActorLost("killed"), BrokerUnavailable("no answer"), Exposure(1, 0))
    assert await watched(account, 4) == [1, 2, 4, 1]
    assert account.revived == 1
    assert len(account.swept) == 1


async def test_sweeping_outlives_whatever_breaks_while_an_account_is_revived() -> None:
    account = Account(ActorLost("gone"), Exposure(1, 0))
    revive = account.revive

    async def broken(user_id: str) -> None:
        await revive(user_id)
        raise RuntimeError("session expired")

    account.revive = broken  # type: ignore[method-assign, assignment]
    await watched(account, 5)
    assert account.revived == 1
    assert len(account.swept) == 1
