from __future__ import annotations

import asyncio

import pytest

from actors.simulation.loop import Deadlock, run_in_virtual_time
from actors.simulation.process import Process


def test_time_moves_to_the_next_timer_and_nobody_waits() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        moments = [loop.time()]
        await asyncio.sleep(3_600)
        moments.append(loop.time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(1_000)
        return [*moments, loop.time()]

    assert run_in_virtual_time(main()) == pytest.approx([0.0, 3_600.0, 3_605.0])


def test_tasks_wake_in_the_order_of_their_timers() -> None:
    async def main() -> list[str]:
        woken: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(name)

        await asyncio.gather(sleeper("c", 3), sleeper("a", 1), sleeper("b", 2))
        return woken

    assert run_in_virtual_time(main()) == ["a", "b", "c"]


def test_a_world_in_which_nobody_can_wake_anybody_is_an_error() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="stands still"):
        run_in_virtual_time(main())


def test_sets_of_tasks_keep_the_order_in_which_they_were_made() -> None:
    async def main() -> list[int]:
        tasks = [asyncio.create_task(asyncio.sleep(1), name=str(n)) for n in range(20)]
        done, _ = await asyncio.wait(set(tasks))
        return [int(task.get_name()) for task in done]

    assert run_in_virtual_time(main()) == list(range(20))


def test_what_is_left_over_is_cancelled() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("left")

    async def main() -> None:
        asyncio.get_running_loop().create_task(forever())
        await asyncio.sleep(1)

    run_in_virtual_time(main())
    assert ended == ["left"]


def test_timers_of_a_stopped_process_rest_until_it_goes_on() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        woken: list[float] = []

        async def work() -> None:
            await asyncio.sleep(1)
            woken.append(loop.time())

        process = Process("p")
        process.run(work())
        await asyncio.sleep(0.5)
        process.stop()
        await asyncio.sleep(4)
        assert woken == []
        process.go_on()
        await asyncio.sleep(0.1)
        return woken

    assert run_in_virtual_time(main()) == [4.5]
