from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import pytest

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.inboxes import OneByOne, SideBySide
from actors.simulation.loop import run_in_virtual_time
from actors.simulation.network import Network, NobodyAnswered, Storm
from actors.simulation.process import Process

_T = TypeVar("_T")


class Counting:
    """An actor that notes what it is asked, and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    async def work(self, name: str, seconds: float = 0.0) -> str:
        self.calls.append((name, asyncio.get_running_loop().time()))
        await asyncio.sleep(seconds)
        return f"{name} done"

    async def fail(self) -> None:
        raise ValueError("no")


class Stand:
    """A caller, a network, and one actor."""

    def __init__(self, *storms: Storm, one_by_one: bool = False) -> None:
        self.faults: list[Disturbance] = []
        self.actor = Counting()
        self.caller = Process("caller")
        self.callee = Process("callee")
        self.network = Network(
            Random(1), storms, happened=lambda kind, _user: self.faults.append(kind)
        )
        self.target = (
            OneByOne(self.callee, self.actor, rests=True)
            if one_by_one
            else SideBySide(self.callee, self.actor)
        )

    async def call(self, method: str, *args: Any) -> Any:
        return await self.network.call(self.caller, lambda: self.target, method, *args)


def on_a_stand(
    play: Callable[[Stand], Awaitable[_T]], *storms: Storm, one_by_one: bool = False
) -> _T:
    async def main() -> _T:
        return await play(Stand(*storms, one_by_one=one_by_one))

    return run_in_virtual_time(main())


def always(kind: Disturbance) -> Storm:
    return Storm(0.0, 100.0, kind, 1.0)


def test_a_call_brings_back_its_value_and_its_error() -> None:
    async def play(stand: Stand) -> None:
        assert await stand.call("work", "a") == "a done"
        with pytest.raises(ValueError, match="no"):
            await stand.call("fail")

    on_a_stand(play)


def test_a_lost_request_is_never_served() -> None:
    async def play(stand: Stand) -> None:
        with pytest.raises(NobodyAnswered):
            await stand.call("work", "a")
        assert stand.actor.calls == []
        assert stand.faults == [Disturbance.REQUEST_LOST]

    on_a_stand(play, always(Disturbance.REQUEST_LOST))


def test_a_lost_reply_hides_a_call_that_was_served() -> None:
    async def play(stand: Stand) -> None:
        with pytest.raises(NobodyAnswered):
            await stand.call("work", "a")
        assert [name for name, _ in stand.actor.calls] == ["a"]
        assert stand.faults == [Disturbance.REPLY_LOST]

    on_a_stand(play, always(Disturbance.REPLY_LOST))


def test_a_doubled_message_is_served_twice_and_answered_once() -> None:
    async def play(stand: Stand) -> None:
        assert await stand.call("work", "a") == "a done"
        await asyncio.sleep(5)
        assert [name for name, _ in stand.actor.calls] == ["a", "a"]

    on_a_stand(play, always(Disturbance.MESSAGE_DOUBLED))


def test_a_delayed_message_takes_its_time() -> None:
    async def play(stand: Stand) -> None:
        await stand.call("work", "a")
        assert stand.actor.calls[0][1] >= 0.1

    on_a_stand(play, always(Disturbance.MESSAGE_DELAYED))


def test_messages_that_overtake_each_other_are_noticed() -> None:
    async def play(stand: Stand) -> None:
        await asyncio.gather(*(stand.call("work", str(n)) for n in range(10)))
        served = [name for name, _ in stand.actor.calls]
        assert sorted(served) == [str(n) for n in range(10)]
        assert served != sorted(served)
        assert Disturbance.MESSAGE_REORDERED in stand.faults

    on_a_stand(play, always(Disturbance.MESSAGE_REORDERED))


def test_whoever_waits_for_an_actor_that_dies_is_told() -> None:
    async def play(stand: Stand) -> None:
        waiting = asyncio.ensure_future(stand.call("work", "a", 1_000.0))
        await asyncio.sleep(1)
        stand.callee.kill()
        with pytest.raises(NobodyAnswered, match="died"):
            await waiting
        with pytest.raises(NobodyAnswered, match="no such actor"):
            await stand.call("work", "b")

    on_a_stand(play)


def test_a_dead_caller_sends_nothing_and_hears_nothing() -> None:
    async def play(stand: Stand) -> None:
        work = stand.caller.run(stand.call("work", "a"))
        stand.caller.kill()
        await asyncio.sleep(1)
        assert work.cancelled()
        assert stand.actor.calls == []

    on_a_stand(play)


def test_nothing_that_a_cut_off_process_says_arrives() -> None:
    async def play(stand: Stand) -> None:
        stand.caller.is_cut_off = True
        with pytest.raises(NobodyAnswered):
            await stand.call("work", "a")
        assert stand.actor.calls == []
        assert stand.faults == []

    on_a_stand(play)


def test_a_synchronous_actor_serves_one_call_at_a_time_in_order() -> None:
    async def play(stand: Stand) -> list[tuple[str, float]]:
        first = asyncio.ensure_future(stand.call("work", "a", 2.0))
        await asyncio.sleep(0.1)
        await asyncio.gather(first, stand.call("work", "b"), stand.call("work", "c"))
        return stand.actor.calls

    calls = on_a_stand(play, one_by_one=True)
    assert calls[0][0] == "a"
    assert {name for name, _ in calls[1:]} == {"b", "c"}
    assert all(at_s >= 2.0 for _, at_s in calls[1:])


def test_a_synchronous_actor_rests_between_its_calls() -> None:
    async def play(stand: Stand) -> None:
        woken: list[float] = []

        async def background() -> None:
            await asyncio.sleep(1)
            woken.append(asyncio.get_running_loop().time())

        await stand.call("work", "a")
        stand.callee.run(background())
        await asyncio.sleep(5)
        assert woken == []
        await stand.call("work", "b", 0.5)
        assert len(woken) == 1
        assert woken[0] > 5

    on_a_stand(play, one_by_one=True)
