"""Promises 5, 6 and 7: closing waits neither for bookkeeping nor for others, and all ends."""

from __future__ import annotations

from collections.abc import Iterator

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation

FIRST_ORDER_WITHIN_S = 2.0
"""An untroubled account's first order, however its journal fares: 0.25 s of waiting for the
journal, the reads before it, and pending orders to cancel."""


def never_waits_for_bookkeeping(run: Run) -> Iterator[Violation]:
    """On an untroubled account the first order leaves soon, whether or not the disk is well."""
    for first in run.first_orders:
        if first.sent_us is None or not first.was_disk_ill:
            continue
        waited_s = (first.sent_us - first.begun_us) / 1e6
        if waited_s > FIRST_ORDER_WITHIN_S:
            yield Violation(
                "never waits for bookkeeping",
                f"the first order of {first.episode} left after {waited_s:.2f} s while the disk "
                "was ill",
                first.user_id,
                first.sent_us,
            )


def isolated(run: Run) -> Iterator[Violation]:
    """An account that nothing troubles closes in time, whatever troubles others."""
    for first in run.first_orders:
        if first.sent_us is None or first.was_disk_ill:
            continue
        waited_s = (first.sent_us - first.begun_us) / 1e6
        if waited_s > FIRST_ORDER_WITHIN_S:
            yield Violation(
                "isolated",
                f"the first order of {first.episode} left after {waited_s:.2f} s, and nothing "
                "troubled its account",
                first.user_id,
                first.sent_us,
            )


def bounded(run: Run) -> Iterator[Violation]:
    """When faults are over, every call is answered and every episode ends within its time."""
    if run.crash:
        yield Violation("bounded", run.crash)
    if run.quiet_us is None:
        yield Violation("bounded", "the engine did not come to rest after the last fault")
    for call in run.calls:
        if call.ended_us is None:
            yield Violation(
                "bounded", f"call {call.number} ({call.kind}) was never answered", call.user_id
            )
