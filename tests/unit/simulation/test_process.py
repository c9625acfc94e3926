from __future__ import annotations

import asyncio

import pytest

from actors.simulation.clock import ProcessClock, TrueTime
from actors.simulation.loop import run_in_virtual_time
from actors.simulation.process import Process, current_process


def test_nothing_of_a_killed_process_has_an_effect_whatever_it_cleans_up() -> None:
    async def main() -> list[str]:
        effects: list[str] = []
        process = Process("p")
        clock = ProcessClock(TrueTime(asyncio.get_running_loop()), process)

        async def effect(name: str) -> None:
            process.check()
            effects.append(name)

        async def work() -> None:
            try:
                await effect("begun")
                await clock.sleep(10)
            finally:
                await effect("cleaned up")

        process.run(work())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(20)
        return effects

    assert run_in_virtual_time(main()) == ["begun"]


def test_tasks_that_a_task_makes_die_with_the_process() -> None:
    async def main() -> tuple[bool, bool]:
        inner: list[asyncio.Task[None]] = []

        async def work() -> None:
            inner.append(asyncio.create_task(asyncio.sleep(100)))
            await asyncio.sleep(100)

        process = Process("p")
        outer = process.run(work())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(1)
        return outer.cancelled(), inner[0].cancelled()

    assert run_in_virtual_time(main()) == (True, True)


def test_a_task_made_by_a_dead_process_never_runs() -> None:
    async def main() -> list[str]:
        ran: list[str] = []

        async def late() -> None:
            ran.append("late")

        async def work() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                asyncio.create_task(late())  # noqa: RUF006

        process = Process("p")
        process.run(work())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(1)
        return ran

    assert run_in_virtual_time(main()) == []


def test_others_hear_of_a_death_once() -> None:
    told: list[str] = []
    process = Process("p")
    process.at_death(lambda: told.append("first"))
    process.kill()
    process.kill()
    process.at_death(lambda: told.append("late"))
    assert told == ["first", "late"]


def test_a_process_that_lost_contact_is_taken_for_dead_and_lives() -> None:
    told: list[str] = []
    process = Process("p")
    process.at_death(lambda: told.append("lost"))
    process.lose_contact()
    assert told == ["lost"]
    assert process.is_alive
    assert not process.can_hang


def test_the_clock_is_skewed_and_drifts_and_does_not_sleep_for_the_dead() -> None:
    async def main() -> None:
        process = Process("p")
        clock = ProcessClock(
            TrueTime(asyncio.get_running_loop()), process, drift=1e-4, origin_s=50.0
        )
        clock.skew_us = 7
        readings: list[str] = []
        clock.at_reading = lambda: readings.append("read")
        before = clock.wall_us()
        assert readings == ["read"]
        await asyncio.sleep(100)
        assert clock.wall_us() - before == 100_000_000
        assert clock.monotonic() == pytest.approx(150.01)
        process.kill()
        with pytest.raises(asyncio.CancelledError):
            await clock.sleep(1)

    run_in_virtual_time(main())


def test_tasks_inherit_their_process() -> None:
    async def main() -> Process | None:
        async def inner() -> Process | None:
            return current_process.get(None)

        async def outer() -> Process | None:
            return await asyncio.create_task(inner())

        process = Process("p")
        found = await process.run(outer())
        assert current_process.get(None) is None
        return found if found is process else None

    assert run_in_virtual_time(main()) is not None
