from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.audit_killing import check_what_is_left, kill_a_writer


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    stream, last = kill_a_writer(tmp_path, batch=50, after=6)
    assert last >= 300
    check_what_is_left(tmp_path, {stream: last}, batch=50)


@pytest.mark.slow
def test_twenty_killed_writers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    draw = random.Random(1)
    acknowledged: dict[str, int] = {}
    for number in range(20):
        stream, last = kill_a_writer(tmp_path, batch=20, after=draw.randint(1, 60))
        acknowledged[stream] = last
        if number % 5 == 4:
            check_what_is_left(tmp_path, acknowledged, batch=20)
    assert len(acknowledged) == 20
