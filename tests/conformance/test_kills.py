"""A life is killed at every step of a close; the next one finishes it, and nothing closes twice.

A step is whatever a close awaits: each call of the broker and each sleep, before and after it
acts. The broker's own book is the judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, cast

import pytest

from engine.brokers import MT5Broker
from engine.brokers.port import Broker
from engine.bulk import close_now
from engine.closing import AccountCloser
from engine.lease import LeaseLost, NoLease, Permit
from engine.models import CloseRequest, CloseResult
from engine.outcomes import Outcome
from engine.simulated import AccountSettings, MarginMode
from tests.conformance.test_closing_under_faults import LOTS, MODES, POLICY, Scene, scene
from tests.conformance.test_parts_and_reversals import BUY, assert_flat, by_hand
from tests.virtual_time import VirtualClock

LATE_MS = round(0.8 * POLICY.settle_window_s * 1000)
"""The venue may execute a request this long after it was sent."""


class Life:
    """One life of an account, which ends at its ``dies_at``-th step: nothing of it goes on."""

    def __init__(
        self, stage: Scene, dies_at: int | None = None, permit: Permit | None = None
    ) -> None:
        self.steps = 0
        self.dead = asyncio.Event()
        self.wakes = asyncio.Event()
        self._dies_at = dies_at
        broker = MT5Broker(stage.terminal, login=AccountSettings().login)
        self.account = AccountCloser(
            "ann",
            cast("Broker", MortalBroker(broker, self)),
            clock=MortalClock(stage, self),
            random=Random(1),
            policy=POLICY,
            ledger=stage.ledger,
            permit=permit,
        )
        self.account.remember(list(stage.ledger.entries))

    async def step(self) -> None:
        self.steps += 1
        if self.steps == self._dies_at:
            self.dead.set()
        if self.dead.is_set():
            await self.wakes.wait()

    async def run(self, work: Any) -> Any:
        """Return what ``work`` came to, ``None`` if this life has ended before."""
        task, death = asyncio.ensure_future(work), asyncio.create_task(self.dead.wait())
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        self.task = task
        return task.result() if task.done() else None


class MortalBroker:
    """The broker as a life meets it."""

    def __init__(self, broker: MT5Broker, life: Life) -> None:
        self._broker = broker
        self._life = life

    def use_check(self, check: Callable[[], None]) -> None:
        self._broker.use_check(check)

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._life.step()
            answer = await getattr(self._broker, name)(*args, **kwargs)
            await self._life.step()
            return answer

        return call


class MortalClock(VirtualClock):
    """The account's time as a life meets it; the market moves with it."""

    def __init__(self, stage: Scene, life: Life) -> None:
        super().__init__()
        self._stage = stage
        self._life = life

    def wall_us(self) -> int:
        return self._stage.clock.wall_us()

    def monotonic(self) -> float:
        return self._stage.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._life.step()
        clock, terminal = self._stage.clock, self._stage.terminal
        await clock.sleep(seconds)
        terminal.move_to(max(terminal.time_ms, round(clock.seconds * 1000)))
        await self._life.step()


@pytest.fixture(autouse=True)
async def graveyard() -> AsyncIterator[None]:
    """Dead lives hang where they died; they are cleared away when the test is over."""
    yield
    while hanging := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)


def request(stage: Scene, volume: float | None = None) -> CloseRequest:
    return CloseRequest(
        str(stage.ticket), stage.ticket, "ann", "test", volume=volume, idempotency_key="k"
    )


def let_everything_happen(stage: Scene) -> None:
    """Let the market go on until no request can act any more."""
    terminal = stage.terminal
    later_ms = terminal.time_ms + round(POLICY.settle_window_s * 1000)
    terminal.move_to(max(later_ms, round(stage.clock.seconds * 1000)))
    terminal.positions_get()


TROUBLES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "late execution": [{"kind": "timeout_then_executed", "delay_ms": LATE_MS}],
    "late placed": [{"kind": "placed_then_executed", "delay_ms": LATE_MS}],
    "late after a broken pipe": [
        {"kind": "ipc_error_then_executed", "code": -10002, "delay_ms": LATE_MS}
    ],
    "lost": [{"kind": "timeout_without_execution"}],
    "part": [{"kind": "partial_fill", "fraction": 0.5}],
    "part, then late": [
        {"kind": "partial_fill", "fraction": 0.5},
        {"kind": "timeout_then_executed", "delay_ms": LATE_MS, "nth": 2},
    ],
    "late deals": [
        {"kind": "late_deals", "delay_ms": 700},
        {"kind": "lingering_position", "delay_ms": 700},
    ],
}


def assert_closed_once(stage: Scene, result: CloseResult) -> None:
    let_everything_happen(stage)
    stage.assert_closed_exactly_once()
    assert_flat(stage)
    assert sum(stage.exits) == pytest.approx(LOTS)
    assert (result.success, result.outcome) == (True, Outcome.DONE)
    assert result.volume == LOTS
    assert len(stage.ledger.entries) == 1, "one final record"
    assert stage.ledger.entries[0][0] == result


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_killed_at_every_step(mode: MarginMode, trouble: str) -> None:
    dies_at, died = 0, True
    while died:
        dies_at += 1
        stage = await scene(mode, *TROUBLES[trouble])
        first = Life(stage, dies_at)
        result = await first.run(first.account.close(request(stage)))
        died = first.dead.is_set()
        if died:
            heir = Life(stage)
            heir.account.wait_for_predecessor()
            result = await heir.run(heir.account.close(request(stage)))
        assert_closed_once(stage, result)
    assert dies_at > 10, "the close was killed at many steps"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trouble", ["none", "late execution", "lost", "part", "late deals"])
async def test_a_part_is_closed_once_however_often_its_life_is_killed(
    mode: MarginMode, trouble: str
) -> None:
    dies_at, died = 0, True
    while died:
        dies_at += 1
        stage = await scene(mode, *TROUBLES[trouble])
        first = Life(stage, dies_at)
        result = await first.run(first.account.close(request(stage, volume=0.2)))
        died = first.dead.is_set()
        if died:
            heir = Life(stage)
            heir.account.wait_for_predecessor()
            result = await heir.run(heir.account.close(request(stage, volume=0.2)))
        let_everything_happen(stage)
        assert sum(stage.exits) == pytest.approx(0.2)
        assert [p.volume for p in stage.terminal.book.positions.values()] == [0.2]
        assert (result.success, result.outcome, result.volume) == (True, Outcome.PARTIAL, 0.2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
async def test_lives_that_die_one_after_another(mode: MarginMode, seed: int) -> None:
    random = Random(seed)
    stage = await scene(mode, *TROUBLES[random.choice(list(TROUBLES))])
    result = None
    for number in range(100):
        life = Life(stage, dies_at=random.randint(1, 30) if number < 99 else None)
        if number:
            life.account.wait_for_predecessor()
        result = await life.run(life.account.close(request(stage)))
        if result is not None:
            break
    assert isinstance(result, CloseResult)
    assert_closed_once(stage, result)


@pytest.mark.parametrize("mode", MODES)
async def test_what_the_dead_life_closed_is_told_as_done_by_its_key(mode: MarginMode) -> None:
    """No request of its own: the deals carry the tag of the very close."""
    stage = await scene(mode, *TROUBLES["late execution"])
    first = Life(stage)
    real = stage.terminal.order_send

    class DiesInTheCall:
        def __getattr__(self, name: str) -> Any:
            return getattr(stage.terminal, name)

        def order_send(self, order: dict[str, Any]) -> Any:
            answer = real(order)
            first.dead.set()
            return answer

    first.account = AccountCloser(
        "ann",
        cast("Broker", MortalBroker(MT5Broker(DiesInTheCall()), first)),
        clock=MortalClock(stage, first),
        random=Random(1),
        policy=POLICY,
        ledger=stage.ledger,
    )
    assert await first.run(first.account.close(request(stage))) is None
    heir = Life(stage)
    heir.account.wait_for_predecessor()
    result = await heir.run(heir.account.close(request(stage)))
    assert_closed_once(stage, result)
    assert result.attempts == 0
    assert stage.clock.seconds >= POLICY.settle_window_s


async def by_key(stage: Scene, life: Life) -> None:
    await life.account.close(request(stage))


async def by_trigger(stage: Scene, life: Life) -> None:
    await close_now(
        life.account, None, close_reason="t", key="trigger", initiator="t", clock=stage.clock
    )


@pytest.mark.parametrize("again", [by_key, by_trigger])
@pytest.mark.parametrize("kind", ["timeout", "placed"])
async def test_a_dead_lifes_order_that_turns_the_account_around_is_undone(
    kind: str, again: Callable[[Scene, Life], Any]
) -> None:
    """A stop closed the position, the life died, and then its order opened the opposite."""
    dies_at, died = 0, True
    while died:
        dies_at += 1
        stage = await scene(
            MarginMode.NETTING,
            {"kind": "gone_by_stop_loss"},
            {"kind": f"{kind}_then_executed", "delay_ms": LATE_MS},
        )
        first = Life(stage, dies_at)
        await first.run(again(stage, first))
        died = first.dead.is_set()
        if died:
            heir = Life(stage)
            heir.account.wait_for_predecessor()
            await heir.run(again(stage, heir))
        let_everything_happen(stage)
        assert_flat(stage)
        keys = [(e.position, e.key) for _, e in stage.ledger.entries]
        assert len(keys) == len(set(keys)), "one final record per position and key"
    assert dies_at > 10


@pytest.mark.parametrize("trouble", ["none", "late execution", "part", "late deals"])
async def test_a_liquidation_that_is_killed_at_every_step(trouble: str) -> None:
    dies_at, died = 0, True
    while died:
        dies_at += 1
        stage = await scene(MarginMode.HEDGING, *TROUBLES[trouble])
        with stage.terminal.without_faults():
            for _ in range(3):
                by_hand(stage.terminal, BUY, 0.1)
        opened = set(stage.terminal.book.positions)
        first = Life(stage, dies_at)
        await first.run(by_trigger(stage, first))
        died = first.dead.is_set()
        if died:
            heir = Life(stage)
            heir.account.wait_for_predecessor()
            await heir.run(by_trigger(stage, heir))
        let_everything_happen(stage)
        assert_flat(stage)
        assert sum(stage.exits) == pytest.approx(LOTS + 0.3)
        closed = [int(evidence.position) for _, evidence in stage.ledger.entries]
        assert len(closed) == len(set(closed)), "one final record of each position"
        assert all(result.outcome is Outcome.DONE for result, _ in stage.ledger.entries)
        if not died:
            assert set(closed) == opened
    assert dies_at > 30


class Revocable(NoLease):
    """A permit that ends for good."""

    def __init__(self) -> None:
        self.is_revoked = False

    def check(self) -> None:
        if self.is_revoked:
            raise LeaseLost("a newer life has begun")

    async def secured(self) -> None:
        self.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_life_that_was_taken_for_dead_wakes_up(mode: MarginMode, trouble: str) -> None:
    """It stood still at some step, perhaps with its request on the way; then it goes on."""
    stands_at, stood = 0, True
    while stood:
        stands_at += 1
        stage = await scene(mode, *TROUBLES[trouble])
        permit = Revocable()
        first = Life(stage, stands_at, permit)
        result = await first.run(first.account.close(request(stage)))
        stood = first.dead.is_set()
        if stood:
            permit.is_revoked = True
            heir = Life(stage)
            heir.account.wait_for_predecessor()
            result = await heir.run(heir.account.close(request(stage)))
            first.dead.clear()
            first.wakes.set()
            await asyncio.wait({first.task})
            assert isinstance(first.task.exception(), LeaseLost | None)
        let_everything_happen(stage)
        assert_flat(stage)
        assert sum(stage.exits) == pytest.approx(LOTS)
        assert (result.success, result.outcome) == (True, Outcome.DONE)
        for told, _ in stage.ledger.entries:  # what deals prove may be told by both
            assert (told.outcome, told.volume) == (Outcome.DONE, LOTS)
