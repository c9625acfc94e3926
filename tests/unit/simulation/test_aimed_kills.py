from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from actors.simulation.aimed_kills import AimedKill, AimedKills, Mark
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.loop import run_in_virtual_time
from actors.simulation.process import Process

KIND = Disturbance.KILL_ACCOUNT_AT_STEP


class Stage:
    """One victim with lives that are begun by hand, and who died."""

    def __init__(self) -> None:
        self.lives = 0
        self.struck: list[str] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.kills = AimedKills(
            lambda _victim: self.present,
            self._strike,
            lambda seconds, callback: self.timers.append((seconds, callback)),
        )
        self.begin()

    def begin(self) -> None:
        self.lives += 1
        self.present = Process(f"ann/{self.lives}")
        self.kills.reached(self.present, Mark.BIRTH)

    def _strike(self, kill: AimedKill) -> None:
        assert kill.kind is KIND
        self.struck.append(self.present.name)
        self.present.kill()


def aimed(mark: Mark, steps: int = 1, lives: int = 1, after_s: float = 0.0) -> AimedKill:
    return AimedKill("ann", mark, KIND, steps=steps, lives=lives, after_s=after_s)


def nothing() -> None:
    """Stand for a step's work."""


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_life_dies_at_the_end_of_the_step_that_was_drawn(steps: int) -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.MOMENT, steps))
    for _ in range(steps - 1):
        stage.present.step(nothing)
    assert stage.present.is_alive
    stage.present.step(nothing)
    assert stage.struck == ["ann/1"]


def test_counting_begins_at_the_mark_and_in_the_life_that_is_meant() -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.RECORDS))
    stage.kills.sent(stage.present, "close")
    stage.kills.sent(Process("bob/1"), "append")
    stage.present.step(nothing)
    assert stage.struck == []
    stage.kills.sent(stage.present, "append")
    stage.present.step(nothing)
    assert stage.struck == ["ann/1"]


@pytest.mark.parametrize(
    ("method", "mark"), [("close", Mark.MANDATE), ("activate", Mark.ACTIVATION)]
)
def test_calls_that_arrive_are_marks(method: str, mark: Mark) -> None:
    stage = Stage()
    stage.kills.arm(aimed(mark))
    stage.kills.arrived(stage.present, method)
    stage.present.step(nothing)
    assert stage.struck == ["ann/1"]


def test_the_next_life_dies_likewise_if_it_is_to() -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.BIRTH, lives=2))
    for _ in range(3):
        stage.begin()
        stage.present.step(nothing)
    assert stage.struck == ["ann/2", "ann/3"]


def test_a_newborn_dies_after_a_time() -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.BIRTH, steps=0, after_s=0.1))
    stage.begin()
    ((seconds, fall),) = stage.timers
    fall()
    assert (seconds, stage.struck) == (0.1, ["ann/2"])


def test_who_is_gone_already_is_not_killed_again() -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.MOMENT))
    old = stage.present
    stage.begin()
    old.step(nothing)
    assert stage.struck == []


def test_nobody_is_killed_once_it_is_calm() -> None:
    stage = Stage()
    stage.kills.arm(aimed(Mark.BIRTH))
    stage.kills.arm(aimed(Mark.MOMENT))
    stage.kills.calm()
    stage.present.step(nothing)
    stage.begin()
    stage.present.step(nothing)
    assert stage.struck == []


def test_the_loop_counts_a_processs_steps_between_two_waits() -> None:
    async def main() -> list[int]:
        done: list[int] = []

        async def work() -> None:
            for number in range(10):
                done.append(number)
                await asyncio.sleep(0)

        process = Process("p")
        process.after_steps(4, process.kill)
        process.run(work())
        await asyncio.sleep(1)
        return done

    assert run_in_virtual_time(main()) == [0, 1, 2, 3]
