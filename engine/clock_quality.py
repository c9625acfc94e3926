"""How good the system's clock is: who keeps it, and how far it can be off at most.

Linux tells it (``adjtimex``, read only, which needs no rights): the kernel's estimate of the
greatest error, which whoever disciplines the clock (chrony, ntpd, systemd-timesyncd, PTP) gives it,
and which grows by itself until he comes again. Elsewhere it is unknown, and said so: an auditor
is better served by "unknown" than by a guess. Inside a container this is the host's clock.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.clock import Clock, SystemClock

SYNCHRONISED = "kernel, synchronised"
UNSYNCHRONISED = "kernel, not synchronised"
UNKNOWN = "unknown"

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """What is known of a clock."""

    source: str
    """``kernel, synchronised``, ``kernel, not synchronised``, or ``unknown``."""
    error_bound_us: int | None = None
    """The greatest error, microseconds; ``None`` if nobody knows, as when nobody keeps it."""

    def facts(self) -> dict[str, str | int | None]:
        """Return it as a record's ``meta_data`` holds it."""
        return {"source": self.source, "error_bound_us": self.error_bound_us}


@runtime_checkable
class KnowsItsQuality(Protocol):
    """A clock that can say how good it is."""

    def quality(self) -> ClockQuality:
        """Say how good it is at this moment."""
        ...


def quality_of(clock: Clock) -> ClockQuality:
    """Say how good a clock is: the system's asks the system; one that cannot tell is unknown."""
    if isinstance(clock, KnowsItsQuality):
        return clock.quality()
    return system_quality() if isinstance(clock, SystemClock) else ClockQuality(UNKNOWN)


class Timex(ctypes.Structure):
    """The kernel's ``struct timex`` up to what is read here, and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def _adjtimex() -> Callable[[Timex], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    return None if function is None else lambda timex: int(function(ctypes.byref(timex)))


def system_quality(
    adjtimex: Callable[[Timex], int] | None = None,
) -> ClockQuality:
    """Ask the system how good its clock is.

    Args:
        adjtimex: fills in what it is given and returns the clock's state, below 0 if it fails;
            the system's own if ``None``.
    """
    ask = adjtimex or _adjtimex()
    if ask is None:
        return ClockQuality(UNKNOWN)
    timex = Timex()  # modes 0: nothing is changed
    state = ask(timex)
    if state < 0:
        return ClockQuality(UNKNOWN)
    if state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        # The bound is a default that nobody vouches for.
        return ClockQuality(UNSYNCHRONISED)
    return ClockQuality(SYNCHRONISED, timex.maxerror)
