from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from actors.cli.audit.following import LOOK_EVERY_S, PATIENCE_S, Following
from audit.chain import ChainWriter
from audit.errors import StoreUnavailable
from audit.queries import RecordQuery
from audit.rows import COLUMNS, Row, row_of
from audit.trail import StoreTrail
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, a_close

_RECORDED = COLUMNS.index("recorded_at")


class Files:
    """A trail whose readings come from a list that grows between two looks."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.is_live = False
        self.is_away = False
        self.reached = 0
        self.paused = 0.0
        self.between: Iterator[Callable[[], None]] = iter(())
        self._writer = ChainWriter("account:u1:1", version="0.1.0", config_hash="c0ffee")

    def add(self, number: int, recorded_at: int | None = None) -> None:
        sealed = self._writer.seal(a_close(number))
        self.rows.append(
            row_of(sealed, NOW + number if recorded_at is None else recorded_at, False)
        )

    def fingerprint(self) -> object:
        return None if self.is_live else len(self.rows)

    def pause(self, seconds: float) -> None:
        self.paused += seconds
        next(self.between, self._end)()

    def _end(self) -> None:
        raise KeyboardInterrupt

    @contextmanager
    def reach(self) -> Iterator[Any]:
        self.reached += 1
        if self.is_away:
            raise StoreUnavailable("away")
        yield _Look(self)


class _Look(StoreTrail):
    def __init__(self, files: Files) -> None:
        super().__init__("files", MemoryStore())
        self._files = files

    @property
    def is_live(self) -> bool:
        return self._files.is_live

    def query(self, query: RecordQuery) -> list[Row]:
        if self._files.is_away:
            raise StoreUnavailable("away")
        since = query.recorded_since or 0
        chosen = [row for row in self._files.rows if row[_RECORDED] >= since]
        chosen.sort(key=lambda row: row[COLUMNS.index("occurred_at")], reverse=query.newest_first)
        return chosen[: query.limit]


@pytest.fixture
def files() -> Files:
    files = Files()
    for number in (1, 2, 3):
        files.add(number)
    return files


def positions(rows: list[Row]) -> list[str]:
    return [row[COLUMNS.index("position_id")] for row in rows]


def followed(files: Files, *between: Callable[[], None]) -> list[str]:
    files.between = iter(between)
    following = Following(files.reach, files.fingerprint, files.pause, lambda: files.paused)
    assert positions(following.last(RecordQuery(), 2)) == ["p2", "p3"]
    told: list[str] = []
    with suppress(KeyboardInterrupt):
        for rows in following.new(RecordQuery()):
            told += positions(rows)
    return told


def test_what_comes_is_told_once(files: Files) -> None:
    told = followed(files, lambda: files.add(4), lambda: None, lambda: files.add(5))
    assert told == ["p4", "p5"]


def test_what_occurred_long_ago_and_is_recorded_now_is_told(files: Files) -> None:
    assert followed(files, lambda: files.add(0, NOW + 10)) == ["p0"]


def test_a_clock_that_was_set_back_hides_nothing(files: Files) -> None:
    assert followed(files, lambda: files.add(4, NOW - 30_000_000)) == ["p4"]


def test_files_are_not_opened_while_they_stay_the_same(files: Files) -> None:
    followed(files, *[lambda: None] * 10)
    assert files.reached == 1
    assert files.paused == pytest.approx(11 * LOOK_EVERY_S)


def test_a_live_trail_is_held(files: Files) -> None:
    files.is_live = True
    assert followed(files, lambda: files.add(4), lambda: files.add(5)) == ["p4", "p5"]
    assert files.reached == 2


def test_an_engine_that_ends_and_starts_is_waited_for(files: Files) -> None:
    files.is_live = True

    def leave() -> None:
        files.is_away = True

    def come_back() -> None:
        files.is_away = False
        files.add(4)

    assert followed(files, leave, lambda: None, lambda: None, come_back) == ["p4"]


def test_a_trail_that_stays_away_is_an_error(files: Files) -> None:
    files.is_live = True
    files.between = iter([lambda: None] * 10_000)
    following = Following(files.reach, files.fingerprint, files.pause, lambda: files.paused)
    following.last(RecordQuery(), 1)
    files.is_away = True
    with pytest.raises(StoreUnavailable, match="away"):
        next(following.new(RecordQuery()))
    assert files.paused == pytest.approx(PATIENCE_S, abs=3 * LOOK_EVERY_S)
