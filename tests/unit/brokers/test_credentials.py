"""Passwords: found where they should be, shown nowhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from engine.brokers.credentials import read_password

SECRET = "correct-horse-battery"


def test_a_variable_is_read_and_hidden() -> None:
    password = read_password(variable="MT5_PW", environment={"MT5_PW": SECRET})
    assert password is not None
    assert password.get_secret_value() == SECRET
    assert SECRET not in f"{password} {password!r}"


@pytest.mark.parametrize(("environment", "state"), [({}, "not set"), ({"MT5_PW": ""}, "empty")])
def test_a_variable_without_a_password_is_named(environment: dict[str, str], state: str) -> None:
    with pytest.raises(ValueError, match=f"'MT5_PW'.*{state}"):
        read_password(variable="MT5_PW", environment=environment)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_is_read_without_its_line_end(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f" {SECRET} {ending}".encode())
    file.chmod(0o600)
    password = read_password(file=file)
    assert password is not None
    assert password.get_secret_value() == f" {SECRET} "


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"secret-\xff"])
def test_a_file_without_one_line_of_text_is_named_and_not_quoted(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="password_file=") as caught:
        read_password(file=file)
    assert "secret-" not in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent.*No such file"):
        read_password(file=tmp_path / "absent")


def test_two_places_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both given"):
        read_password(variable="MT5_PW", file=tmp_path / "password")


def test_no_place_means_the_terminals_own_memory() -> None:
    assert read_password() is None


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warns: bool
) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        read_password(file=file)
    assert ("chmod 600" in caplog.text) is warns
    assert SECRET not in caplog.text
