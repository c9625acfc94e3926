"""Promise 7: bounds on time, derived from the configuration that simulated engines run with."""

from __future__ import annotations

from collections.abc import Iterator

from actors.reaching import LONGEST_PAUSE_S
from actors.recording import LONGEST_PAUSE_S as LONGEST_RESEND_PAUSE_S
from actors.session_wait import FIRST_SESSION_PAUSE_S, LONGEST_SESSION_PAUSE_S
from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation
from actors.simulation.timing import (
    DEAL_LAG_S,
    LEASE_S,
    POSITION_BUDGET_S,
    SEND_DEADLINE_S,
    SETTLE_WINDOW_S,
    SILENCE_S,
)

RESTART_S = 1.0
"""A process that died is there again, and what it asks first is answered."""
SLACK_S = 1.0
"""Messages' ways, reads, an order's way there and back, pauses between looks at a clock."""
RECOVERY_S = (
    SILENCE_S  # the watchdog bears a hang, and a call whose answer is lost, for so long
    + 3 * RESTART_S  # audit, supervisor and account, one after another
    + LONGEST_PAUSE_S  # before the account is tried for again
    + LEASE_S  # the life before may hold its lease for so long
    + SETTLE_WINDOW_S  # and then its last request may act for so long
)
"""Longest way from the last fault to an account that is at work."""
QUICK_CLOSE_S = DEAL_LAG_S + 0.5
"""A position that nothing stands in the way of, or one that is gone: its deals may lag."""
SLOW_CLOSE_S = POSITION_BUDGET_S + SEND_DEADLINE_S
"""A position whose closing a broker may refuse again and again."""


def ends_in_time(run: Run) -> Iterator[Violation]:
    """Once the last fault is over, every open episode ends within its bound.

    The bound counts from the last fault, or from the episode's beginning if that is later, or from
    when a client came again with a trigger whose first acceptance may have died unwritten. One
    whose mandate never came on disk was not accepted, and is not judged. The bound is the sum of:

    - :data:`RECOVERY_S` until its account is at work: the watchdog's silence, restarts, the
      predecessor's lease and one settle window;
    - if it waits for its market, the rest of its pause: see :func:`session_pause_s`;
    - the work: an account closes one position at a time, so each episode that is open beside
      this one, this one and sweeps included, takes at most each of the account's positions'
      time: :data:`QUICK_CLOSE_S`, for nothing goes wrong any more; :data:`SLOW_CLOSE_S`, the
      position's budget and one send deadline, where the broker may refuse for its FIFO rule;
    - one pause between two tries to put its end on record.
    """
    late_us = _came_late_us(run)
    for episode in run.episodes:
        end_us = run.ended_us if episode.ended_us is None else episode.ended_us
        begun_us = max(run.calm_us, episode.begun_us, late_us.get(episode.name, 0))
        if end_us <= begun_us or not episode.is_on_disk:
            continue
        bound_s = RECOVERY_S + SLACK_S + LONGEST_RESEND_PAUSE_S
        bound_s += _work_s(run, episode.user_id, begun_us, end_us)
        if episode.waited_us is not None:
            bound_s += session_pause_s(max(run.calm_us, episode.waited_us) - episode.waited_us)
        took_s = (end_us - begun_us) / 1e6
        if took_s > bound_s:
            how = "was still open" if episode.ended_us is None else "ended"
            yield Violation(
                "ends in time",
                f"episode {episode.name} {how} {took_s:.2f} s after the last fault, more than "
                f"{bound_s:.2f} s",
                episode.user_id,
                end_us,
            )


def resumes_in_time(run: Run) -> Iterator[Violation]:
    """An episode that waits for its market is at work again soon after the market opens.

    The bound counts from the opening: the rest of the pause that was begun before it, see
    :func:`session_pause_s`, and the work of the episodes beside it, as in :func:`ends_in_time`.
    If a fault struck its account meanwhile, it counts from the last fault of all, if that is
    later, and :data:`RECOVERY_S` is added. Its first acceptance may have died unwritten while it
    waited: then it is nobody's until its client comes again.
    """
    late_us = _came_late_us(run)
    for wait in run.waits:
        until_us = run.ended_us if wait.until_us is None else wait.until_us
        due_us = wait.opened_us + session_pause_s(wait.opened_us - wait.first_us) * 1e6
        if wait.is_troubled:
            due_us = max(due_us, run.calm_us) + RECOVERY_S * 1e6
        due_us = max(due_us, late_us.get(wait.episode, 0))
        due_us += SLACK_S * 1e6
        if until_us <= due_us:
            continue
        due_us += 1e6 * _work_s(run, wait.user_id, wait.opened_us, until_us, wait.episode)
        if until_us > due_us:
            yield Violation(
                "resumes in time",
                f"episode {wait.episode} was not at work {(until_us - wait.opened_us) / 1e6:.2f} s "
                f"after its market had opened, more than {(due_us - wait.opened_us) / 1e6:.2f} s",
                wait.user_id,
                until_us,
            )


def _came_late_us(run: Run) -> dict[str, int]:
    """Return when clients came again, much later, whose triggers' first acceptance may be lost."""
    return {call.episode: call.came_late_us for call in run.calls if call.came_late_us}


def session_pause_s(waited_us: int) -> float:
    """Return how long a pause can be that begins when an episode has waited for so long.

    Pauses double from the first one on, so that each is as long as all before it and the first
    one together; a restart of the supervisor begins anew, with shorter ones.
    """
    return min(LONGEST_SESSION_PAUSE_S, FIRST_SESSION_PAUSE_S + waited_us / 1e6)


def _work_s(run: Run, user_id: str, since_us: int, until_us: int, but_for: str = "") -> float:
    """Return how long the work of all episodes takes that were open in a span of time."""
    account = run.account(user_id)
    is_over = {deal.identifier for deal in account.deals if deal.entry and deal.at_us < since_us}
    is_over -= {p.ticket for p in account.open_positions}
    positions = {deal.identifier for deal in account.deals} - is_over
    episodes = sum(
        1
        for other in run.episodes
        if other.user_id == user_id
        and other.name != but_for
        and other.begun_us <= until_us
        and (other.ended_us is None or other.ended_us > since_us)
    )
    each_s = SLOW_CLOSE_S if account.is_fifo else QUICK_CLOSE_S
    return episodes * max(1, len(positions)) * each_s
