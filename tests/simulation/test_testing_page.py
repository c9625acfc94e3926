"""The page about testing: its tables come from the commands' own output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testing_page import PAGE, main, with_part

_SIMULATED = {
    "seeds": 10_000,
    "simulated_hours": 171.4,
    "seeds_per_s": 8.04,
    "violations": 0,
    "table": {
        "kill audit": {"accepted": 1_234, "flat": 56},
        "terminal: hang": {"accepted": 21, "flat": 99},
    },
}
_MUTANTS = {
    "seeds": 1_000,
    "mutants": [
        {"name": "a", "harm": "h", "is_caught": True, "seeds": 3, "promises": ["serial"]},
        {"name": "b", "harm": "i", "is_caught": False, "seeds": 1_000, "promises": []},
    ],
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    copy = tmp_path / "testing.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def _given(folder: Path, name: str, report: object) -> list[str]:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    return [f"--{name}", str(file)]


def test_figures_and_tables_are_those_of_the_reports(page: Path, tmp_path: Path) -> None:
    given = _given(tmp_path, "simulated", _SIMULATED) + _given(tmp_path, "mutants", _MUTANTS)
    assert main([*given, "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "10,000 seeds, 171 simulated hours, 8.0 seeds per second, **0 violations**" in text
    assert "The rarest meeting is *terminal: hang* with *accepted*: 21 times." in text
    assert "| kill audit | 1,234 | 56 |" in text
    assert "1 of 2 faults were caught" in text
    assert "| b | i | not in 1,000 | - |" in text


def test_what_is_not_given_stays(page: Path, tmp_path: Path) -> None:
    before = page.read_text(encoding="utf-8")
    assert main(["--page", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == before
    main([*_given(tmp_path, "mutants", _MUTANTS), "--page", str(page)])
    head, _, _ = before.partition("<!-- begin: mutants -->")
    assert page.read_text(encoding="utf-8").startswith(head)


def test_writing_twice_changes_nothing_more(page: Path, tmp_path: Path) -> None:
    given = [*_given(tmp_path, "simulated", _SIMULATED), "--page", str(page)]
    main(given)
    once = page.read_text(encoding="utf-8")
    main(given)
    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["", "<!-- end: x -->\n<!-- begin: x -->\n"])
def test_a_page_without_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="begin: x"):
        with_part(text, "x", "new")
