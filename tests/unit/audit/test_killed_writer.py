from __future__ import annotations

from pathlib import Path

from tests.unit.audit.killing import check_what_is_left, kill_a_writer


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    stream, last = kill_a_writer(tmp_path, batch=50, after=6)
    assert last >= 300
    check_what_is_left(tmp_path, {stream: last}, batch=50)
