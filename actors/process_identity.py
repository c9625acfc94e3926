"""Which process of which machine: so that the death of one can be proven by another.

A number alone proves nothing: numbers are used again, and mean something else in another
container. So the identity names the machine's start, the space of process numbers, the number
and the moment at which the process began. The death of a process that runs elsewhere cannot be
proven from here.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def _place() -> str:
    """Name this start of this machine, and the space that process numbers belong to."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux: the host's name and the moment at which it started
        return f"{socket.gethostname()}/{psutil.boot_time():.0f}"


def this_process() -> str:
    """Return the identity of the calling process."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> str:
    """Return the identity of a process of this machine.

    Raises:
        psutil.NoSuchProcess: there is none of that number.
    """
    return f"{_place()}/{pid}/{_began(pid)}"


def _began(pid: int) -> str:
    """Say when a process began: since the machine's start, which no setting of the clock moves."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux, or no such process
        return f"{psutil.Process(pid).create_time():.2f}"
    return stat.rpartition(")")[2].split()[19]  # clock ticks; the name before may hold anything


def is_proven_dead(process: str) -> bool:
    """Whether a process is proven to have ended; ``False`` if that cannot be known from here."""
    place, _, rest = process.rpartition("/")[0].rpartition("/")
    if not place or not rest.isdecimal() or place != _place():
        return False
    try:
        found = psutil.Process(int(rest))
        is_zombie = found.status() == psutil.STATUS_ZOMBIE
        return is_zombie or identity_of(int(rest)) != process
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
