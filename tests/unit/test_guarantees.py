"""Every test that the guarantees name exists, and nothing that they say stands without one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text("utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
UNTESTED = re.compile(r"\bno test: \w+")
NAMED = sorted(set(TEST.findall(PAGE)))
PROMISES = {
    title: text for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
}


def shown_by(promise: str) -> str:
    """What stands between the marks of the tests and of the limits."""
    return promise.partition("*Shown by:*")[2].partition("*Not promised:*")[0]


def limits(promise: str) -> list[str]:
    """The items of what is not promised."""
    return promise.partition("*Not promised:*\n")[2].removeprefix("- ").split("\n- ")


def stands_alone(item: str) -> bool:
    """Whether an item names no test, and no reason why there is none."""
    return not TEST.search(item) and not UNTESTED.search(" ".join(item.split()))


LIMITS = [(title, item) for title, text in PROMISES.items() for item in limits(text)]


def test_there_are_twelve_promises_in_order() -> None:
    assert [title.partition(".")[0] for title in PROMISES] == [str(n) for n in range(1, 13)]


@pytest.mark.parametrize("title", PROMISES)
def test_a_promise_says_what_it_rests_on_and_which_tests_show_it(title: str) -> None:
    assert "*Rests on:*" in PROMISES[title]
    assert TEST.search(shown_by(PROMISES[title]))


@pytest.mark.parametrize(("title", "item"), LIMITS)
def test_what_is_not_promised_names_its_test_or_why_there_is_none(title: str, item: str) -> None:
    assert len(item) > 20, f"nothing is said to be not promised in {title}"
    assert not stands_alone(item)


@pytest.mark.parametrize(
    ("item", "alone"),
    [
        ("Nothing. `tests/unit/test_it.py::test_it`", False),
        ("Nothing. no test:\n  it is not ours", False),
        ("Nothing. no test:", True),
        ("Nothing at all.", True),
        ("Nothing. `tests/unit/test_it.py`", True),
    ],
)
def test_an_item_that_stands_alone_is_seen(item: str, alone: bool) -> None:
    assert stands_alone(item) is alone


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_no_name_of_a_test_is_written_in_another_form() -> None:
    assert PAGE.count("::test_") == len(TEST.findall(PAGE))
