"""The examples that a reader copies: of the package's docstring and of its page."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import engine.simulated
from engine.simulated import FaultKind, ShockKind

PAGE = Path(__file__).parents[3] / "docs" / "simulated-terminal.md"


def test_the_example_of_the_documentation_runs() -> None:
    result = doctest.testmod(engine.simulated)
    assert result.attempted > 10
    assert result.failed == 0


@pytest.mark.parametrize("place", range(5))
def test_the_examples_of_the_page_run(place: int) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 5
    exec(compile(examples[place], f"{PAGE.name}, example {place + 1}", "exec"), {})


def test_the_page_lists_every_kind_of_fault_and_of_shock() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [kind.value for kind in (*FaultKind, *ShockKind) if f"`{kind.value}`" not in page] == []
