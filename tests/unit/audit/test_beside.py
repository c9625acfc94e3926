from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audit.beside import Beside


@pytest.fixture
def beside() -> Iterator[Beside]:
    before = set(threading.enumerate())
    beside = Beside("audit-test")
    yield beside
    beside.close()
    beside.close()
    assert set(threading.enumerate()) <= before


def test_something_else_is_done_until_the_work_is(beside: Beside) -> None:
    enough = threading.Event()
    counted: list[int] = []

    def meanwhile() -> bool:
        counted.append(threading.get_ident())
        if len(counted) == 5:
            enough.set()
        return True

    beside.do(lambda: enough.wait(10), meanwhile)
    assert enough.is_set()
    assert set(counted) == {threading.get_ident()}


def test_where_there_is_nothing_else_the_work_is_waited_for(beside: Beside) -> None:
    done: list[str] = []
    beside.do(lambda: done.append("work"), lambda: False)
    beside.do(lambda: done.append("alone"), None)
    assert done == ["work", "alone"]


@pytest.mark.parametrize("meanwhile", [None, lambda: False, lambda: True])
def test_what_the_work_raises_comes_out(beside: Beside, meanwhile: None) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        beside.do(fail, meanwhile)


def test_after_its_end_it_can_be_used_again(beside: Beside) -> None:
    beside.do(lambda: None, lambda: False)
    beside.close()
    done: list[str] = []
    beside.do(lambda: done.append("again"), lambda: False)
    assert done == ["again"]


def test_the_work_is_over_also_if_the_other_fails(beside: Beside) -> None:
    is_over = threading.Event()
    go_on = threading.Event()

    def work() -> None:
        go_on.wait(10)
        is_over.set()

    def fail() -> bool:
        go_on.set()
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        beside.do(work, fail)
    assert is_over.is_set()
