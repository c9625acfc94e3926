"""Waiting for a session: an episode whose market is closed waits until the next look at it."""

from __future__ import annotations

from actors.episode import Episode
from actors.messages import CloseReply, EpisodeState
from engine.clock import Clock

FIRST_SESSION_PAUSE_S = 5.0
LONGEST_SESSION_PAUSE_S = 60.0
"""Between two looks at a market that is closed, where the broker does not say when it opens."""
LONGEST_BELIEVED_S = 3600.0
"""Until the next look where it does: it may be wrong, and the wait for a market has a bound."""


async def session_wait(episode: Episode, reply: CloseReply, looks: int, clock: Clock) -> None:
    """Wait for the market to open, for the next look at it, or until the episode is let go.

    Args:
        episode: waits; a report of it says until when.
        reply: its account's last answer, with what the broker says about the session.
        looks: how often its market was found closed, from 1.
        clock: measures.
    """
    wait_s = reply.opens_in_s
    if wait_s is None:
        growing_s = FIRST_SESSION_PAUSE_S * 2.0 ** min(looks - 1, 10)
        wait_s = min(growing_s, LONGEST_SESSION_PAUSE_S)
    episode.state = EpisodeState.WAITING
    episode.waiting_until_us = clock.wall_us() + round(wait_s * 1e6)
    end = clock.monotonic() + min(wait_s, LONGEST_BELIEVED_S)
    while clock.monotonic() < end and not episode.is_let_go:
        await clock.sleep(min(1.0, max(0.0, end - clock.monotonic())))
    episode.waiting_until_us = None
