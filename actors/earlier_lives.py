"""Earlier lives of an account: for how long what they have sent may still act at the venue."""

from __future__ import annotations

from collections.abc import Callable

from actors.messages import Activation


def earlier_may_act_s(
    activation: Activation, process: str, is_dead: Callable[[str], bool]
) -> float:
    """Return for how long a request of an earlier life may still act, in seconds from now.

    One settle window, counted from the proven end of the process of the life before, and of those
    before it that are not long over, else from their leases'. A life that ended cleanly leaves
    nothing behind, but one before it may.

    Args:
        activation: of the life that begins.
        process: that it lives in.
        is_dead: whether a process is proven to have ended.
    """
    opened = activation.opened
    *older, (_, lease_left_s) = activation.earlier_lives
    lives = [(earlier, left_s) for earlier, left_s in older if left_s > 0]
    if not opened.predecessor_ended_cleanly:
        lives.append((opened.predecessor_process or "", lease_left_s))
    if not lives:
        return 0.0
    # In this very process they are over: calls are served one at a time.
    left = [left_s for earlier, left_s in lives if earlier != process and not is_dead(earlier)]
    return activation.policy.settle_window_s + max(left, default=0.0)
