from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.audit_killing import MOMENTS, Kill, check_what_is_left, kill_a_writer


def _acknowledged(kills: list[Kill]) -> dict[str, int]:
    return {kill.stream: kill.acknowledged for kill in kills}


def test_killed_writers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kills = []
    for moment in MOMENTS:
        kills.append(kill_a_writer(tmp_path, batch=50, moment=moment, after=12))
        check_what_is_left(tmp_path, _acknowledged(kills), batch=50)
    assert len(_acknowledged(kills)) == len(MOMENTS)
    assert all(kill.acknowledged >= 600 for kill in kills)


@pytest.mark.slow
def test_fifty_writers_killed_in_mid_batch_lose_nothing_acknowledged(tmp_path: Path) -> None:
    draw = random.Random(1)
    kills: list[Kill] = []
    for number in range(50):
        moment = MOMENTS[number % len(MOMENTS)]
        kills.append(kill_a_writer(tmp_path, batch=20, moment=moment, after=draw.randint(1, 60)))
        if number % 10 == 9:
            check_what_is_left(tmp_path, _acknowledged(kills), batch=20)
    assert len(_acknowledged(kills)) == 50
    fell = Counter(moment for kill in kills for moment in kill.during)
    # A kill that comes too late for its moment falls into another, or between two.
    assert fell["store inserting"] >= 5
    assert fell["store committing"] >= 5
    assert fell["store checkpointing"] >= 3
    assert fell["journal committing"] >= 5
