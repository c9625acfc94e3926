"""The faults that are put into the engine: each still fits the source, and each is caught."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import main
from tests.mutants.catalogue import MUTANTS, named
from tests.mutants.hunting import ROOT, hunt
from tests.mutants.mutant import Edit, Moved, Mutant

_QUICK = (
    "settle-skipped",
    "partial-counted-as-full",
    "direct-close-fails-at-once",
    "warning-fails-at-once",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_fits_the_source_and_is_python(mutant: Mutant) -> None:
    changed = mutant.texts(ROOT)
    assert changed
    for path, text in changed.items():
        assert text != (ROOT / path).read_text(encoding="utf-8")
        ast.parse(text, path)


def test_names_are_unique_and_all_are_there() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 23


@pytest.mark.parametrize("source", ["", "here and here"])
def test_an_edit_that_does_not_match_once_is_refused(source: str) -> None:
    with pytest.raises(Moved, match="not once"):
        Edit("engine/some.py", "here", "there").applied_to(source)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no-such-fault"]) == 2
    assert "settle-skipped" in capsys.readouterr().err


def test_it_is_put_into_a_copy_only(tmp_path: Path) -> None:
    mutant = named("settle-skipped")
    (tmp_path / "engine").mkdir()
    (path,) = {edit.path for edit in mutant.edits}
    before = (ROOT / path).read_bytes()
    (tmp_path / path).write_bytes(before)
    mutant.put_into(tmp_path)
    assert (tmp_path / path).read_bytes() != before
    assert (ROOT / path).read_bytes() == before


@pytest.mark.parametrize("name", _QUICK)
def test_it_is_caught_soon(name: str) -> None:
    found = hunt(named(name), seeds=30)
    assert found.is_caught
    assert found.promises


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_is_caught_within_a_thousand_seeds(mutant: Mutant) -> None:
    assert hunt(mutant, seeds=1_000).is_caught


@pytest.mark.slow
def test_the_second_edit_of_seq_not_checked_does_no_harm_alone() -> None:
    fault = named("seq-not-checked")
    assert not hunt(Mutant("alone", "", fault.edits[1:]), seeds=100).is_caught
