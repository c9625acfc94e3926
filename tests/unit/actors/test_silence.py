"""Silence: which actors are killed, and what is a sign. Actors and audit are fakes."""

from __future__ import annotations

import asyncio

import pytest

from actors.links import ActorLost
from actors.messages import Term
from engine.clock import SystemClock
from tests.unit.actors.fake_accounts import Bench

pytestmark = pytest.mark.usefixtures("bounded")

SILENCE_S = 0.3


def impatient() -> Bench:
    return Bench(SystemClock(), silence_s=SILENCE_S, send_deadline_s=0.1, lease_s=0.1)


async def hang(_: Term) -> None:
    await asyncio.Event().wait()


async def test_an_actor_is_killed_when_it_has_given_no_sign_for_too_long() -> None:
    bench = impatient()
    await bench.arm("ann", "bob")
    began = asyncio.get_running_loop().time()
    with pytest.raises(ActorLost, match=r"gave no sign for 0\.3 s and was killed"):
        await bench.call("ann", hang)
    assert asyncio.get_running_loop().time() - began >= SILENCE_S - 0.01
    assert bench.stage.killed == ["ann"]
    ((user_id, life, silent_s),) = bench.kills
    assert (user_id, life) == ("ann", 1)
    assert silent_s >= SILENCE_S
    assert bench.roster["ann"].is_lost
    assert not bench.roster["bob"].is_lost
    assert bench.roster["ann"].calls == 0


async def test_a_renewal_is_a_sign_of_life() -> None:
    bench = impatient()
    await bench.arm("ann")
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    pending = asyncio.create_task(bench.call("ann", lambda _: done.wait()))
    end = loop.time() + 2 * SILENCE_S
    while loop.time() < end:
        bench.roster.renew("ann", 1, 0.0)
        await asyncio.sleep(SILENCE_S / 10)
    done.set()
    await pending
    assert bench.stage.killed == []


async def test_a_renewal_of_another_life_is_none() -> None:
    bench = impatient()
    await bench.arm("ann")
    pending = asyncio.create_task(bench.call("ann", hang))
    while not pending.done():
        bench.roster.renew("ann", 2, 0.0)
        await asyncio.sleep(SILENCE_S / 10)
    with pytest.raises(ActorLost, match="gave no sign"):
        await pending


async def test_silence_counts_from_the_call_and_not_from_the_pause_before_it() -> None:
    bench = Bench(silence_s=100.0)
    await bench.arm("ann")
    bench.virtual.seconds = 1_000_000.0  # nobody had anything to ask
    assert (await bench.term("ann")).incarnation == 1
    assert bench.stage.killed == []


async def test_an_answer_to_another_call_is_a_sign_too() -> None:
    bench = impatient()
    await bench.arm("ann")
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    pending = asyncio.create_task(bench.call("ann", lambda _: done.wait()))
    end = loop.time() + 2 * SILENCE_S
    while loop.time() < end:
        await bench.term("ann")
        await asyncio.sleep(SILENCE_S / 10)
    done.set()
    await pending
    assert bench.stage.killed == []
