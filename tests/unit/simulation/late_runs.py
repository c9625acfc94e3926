"""Hand-made runs whose episodes end, and go on, at given times: shortly in time, or too late."""

from __future__ import annotations

from actors.recording import LONGEST_PAUSE_S as LONGEST_RESEND_PAUSE_S
from actors.session_wait import FIRST_SESSION_PAUSE_S
from actors.simulation.facts import EpisodeSeen, Run, WaitSeen
from actors.simulation.invariants.in_time import QUICK_CLOSE_S, RECOVERY_S, SLACK_S
from tests.unit.simulation.samples import KEY, USER, good_run

CALM_S = 30.0
OPENED_S = 20.0
END_BOUND_S = RECOVERY_S + SLACK_S + LONGEST_RESEND_PAUSE_S + QUICK_CLOSE_S
"""Of an episode with one position and nothing beside it, that does not wait."""


def micros(seconds: float) -> int:
    return round(seconds * 1e6)


def ending(
    after_s: float | None,
    *,
    begun_s: float = 1.0,
    waited_s: float | None = None,
    beside: int = 0,
    lasts_s: float = 200.0,
) -> Run:
    """One episode that ends so long after the last fault, and others that are open as long."""
    run = good_run(calm_us=micros(CALM_S), ended_us=micros(CALM_S + lasts_s))
    run.accounts[0].deals[-1].at_us = micros(CALM_S + 1.0)
    run.episodes = [
        EpisodeSeen(
            USER,
            name,
            micros(begun_s),
            None if waited_s is None else micros(waited_s),
            None if after_s is None else micros(CALM_S + after_s),
        )
        for name in (KEY, *(f"beside-{number}" for number in range(beside)))
    ]
    return run


def resuming(
    after_s: float | None, *, waited_s: float = 4.0, is_troubled: bool = False, beside: int = 0
) -> Run:
    """One episode that is at work again so long after its market has opened."""
    until_us = None if after_s is None else micros(OPENED_S + after_s)
    run = ending(1.0, beside=beside)
    run.accounts[0].deals[-1].at_us = micros(OPENED_S + 1.0)
    first_us = micros(OPENED_S - waited_s)
    run.waits = [WaitSeen(USER, KEY, first_us, micros(OPENED_S), until_us, is_troubled)]
    return run


def ended_too_late() -> Run:
    return ending(END_BOUND_S + 0.1)


def resumed_too_late() -> Run:
    return resuming(FIRST_SESSION_PAUSE_S + 4.0 + SLACK_S + 0.1)
