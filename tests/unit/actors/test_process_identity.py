"""The death of a process is proven, or nothing is claimed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from actors.process_identity import identity_of, is_proven_dead, this_process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its standard input is closed."""
    waiting = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def changed(identity: str, part: int, value: str) -> str:
    parts = identity.split("/")
    parts[part] = value
    return "/".join(parts)


def test_the_own_process_is_alive_and_always_named_alike() -> None:
    assert this_process() == this_process() == identity_of(os.getpid())
    assert not is_proven_dead(this_process())


def test_a_child_is_alive_until_it_is_killed_and_dead_before_it_is_waited_for(
    child: subprocess.Popen[bytes],
) -> None:
    identity = identity_of(child.pid)
    assert identity != this_process()
    assert not is_proven_dead(identity)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as a zombie
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert is_proven_dead(identity)
    child.wait(20)
    assert not psutil.pid_exists(child.pid)
    assert is_proven_dead(identity)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no start is so exact")
def test_a_clock_that_is_set_proves_no_death(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = identity_of(child.pid)
    since = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: since + 1.0)
    assert psutil.boot_time() == since + 1.0
    assert not is_proven_dead(identity)


def test_a_number_that_was_used_again_belongs_to_another_process(
    child: subprocess.Popen[bytes],
) -> None:
    earlier = changed(identity_of(child.pid), -1, "1.00")
    assert is_proven_dead(earlier)


@pytest.mark.parametrize("part", [0, 1], ids=["machine", "process numbers"])
def test_nothing_is_known_of_a_process_of_another_place(part: int) -> None:
    gone = changed(changed(this_process(), -2, "2147483647"), -1, "1.00")
    assert is_proven_dead(gone)
    assert not is_proven_dead(changed(gone, part, "elsewhere"))


@pytest.mark.parametrize(
    "garbage", ["", "/", "//", "process", "a/b/c/d", "a/b/-1/0.00", "a/b/x/0.00", "1/2", "///"]
)
def test_nothing_is_known_of_what_is_no_identity(garbage: str) -> None:
    assert not is_proven_dead(garbage)


def test_a_number_that_is_none_proves_nothing() -> None:
    assert not is_proven_dead(changed(this_process(), -2, "many"))


def test_a_process_that_may_not_be_looked_at_is_not_proven_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = this_process()

    def forbidden(_: psutil.Process) -> str:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "status", forbidden)
    assert not is_proven_dead(identity)
