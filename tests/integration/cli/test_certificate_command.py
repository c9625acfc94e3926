"""``risk-engine audit certificate`` on files that an engine left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.cli.main import app


def certificate(folder: Path, trigger: str, *more: str) -> Result:
    command = ["audit", "certificate", trigger, "--data-dir", str(folder), *more]
    return CliRunner().invoke(app, command)


def test_what_is_left_is_told_and_is_the_exit_status(folder: Path) -> None:
    told = certificate(folder, "trigger-1")
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    assert lines[0] == "NOT FLAT: account ann, trigger trigger-1"
    assert "  the episode ended with 1 residual" in lines
    assert any("left: p3: trading is disabled (10017)" in line for line in lines)
    # Four of each stream: the whole trail, which is checked besides, holds these once more.
    assert "  rests on 6 records; 8 checked in 2 chains, and the account's whole trail" in lines
    assert lines[-1].startswith("  note: there are no digests")


def test_an_open_episode_is_not_flat(folder: Path) -> None:
    told = certificate(folder, "trigger-2")
    assert told.exit_code == 1
    assert "still open" in told.stdout


def test_json_is_one_object_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = certificate(folder, "trigger-1", "--json", "--html", str(page))
    data = json.loads(told.stdout)
    assert (data["title"], data["is_proven"], len(data["closes"])) == ("NOT FLAT", True, 3)
    assert "<h1>NOT FLAT</h1>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("trigger", "status", "words"),
    [("nobody", 3, "trigger_id='nobody' names no episode"), (" ", 2, "trigger_id")],
)
def test_an_unknown_trigger_says_what_to_do(
    folder: Path, trigger: str, status: int, words: str
) -> None:
    told = certificate(folder, trigger)
    assert told.exit_code == status
    assert words in told.stderr
    assert told.stdout == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/page.html", "its folder does not exist; make it"),
        (".", "it is a folder"),
        ("mine.html", "it exists; name another, or give --force"),
    ],
)
def test_a_page_goes_only_where_it_may(
    folder: Path, tmp_path: Path, name: str, reason: str
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine", encoding="utf-8")
    told = certificate(folder, "trigger-1", "--html", str(tmp_path / name))
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"--html={str(tmp_path / name)!r} is not allowed: {reason}" in told.stderr
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_page_is_replaced_if_that_is_wanted(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old", encoding="utf-8")
    assert certificate(folder, "trigger-1", "--html", str(page), "--force").exit_code == 1
    assert "<h1>NOT FLAT</h1>" in page.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("old", encoding="utf-8")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    told = certificate(folder, "trigger-1", "--html", str(page), "--force")
    assert told.exit_code == 3
    assert f"--html={str(page)!r} cannot be written (No space left on device)" in told.stderr
    assert page.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_numbers_on_a_page_are_written_for_people(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    certificate(folder, "trigger-1", "--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert "bid 1.2, at 1424860200123456" in text
    for python in ("{&#39;", "[{", "None", "True"):
        assert python not in text
