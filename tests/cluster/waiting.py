"""Waiting for a condition, for what happens in other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_LOOK_EVERY_S = 0.02


def wait_until(
    is_met: Callable[[], object], *, what: str | Callable[[], str], within_s: float = 30.0
) -> None:
    """Return as soon as ``is_met`` is true; fail after ``within_s`` seconds, saying ``what``."""
    end = monotonic() + within_s
    pause = threading.Event()
    while not is_met():
        if monotonic() > end:
            raise AssertionError(f"after {within_s} s: {what if isinstance(what, str) else what()}")
        pause.wait(_LOOK_EVERY_S)
