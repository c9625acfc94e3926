"""Reaching an account with a mandate, through as many of its actor's lives as it takes."""

from __future__ import annotations

import logging

from actors.episode import Episode
from actors.links import ActorLost
from actors.messages import CloseReply
from actors.roster import Roster
from engine.clock import Clock
from engine.errors import UnknownAccount

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
"""Between two tries to reach an account whose actor was lost."""


async def answer_of(episode: Episode, roster: Roster, clock: Clock, budget_s: float) -> CloseReply:
    """Hand an episode's mandate to its account until a life of the account answers it.

    Args:
        episode: whose mandate; its ``error`` says what the last trouble was.
        roster: knows the account.
        clock: measures.
        budget_s: how long lives may be lost, and the account be out of reach, before the episode
            is given up.

    Raises:
        ActorLost: the budget is used up.
        UnknownAccount: the account was let go of meanwhile.
    """
    user_id = episode.mandate.user_id
    lost_since: float | None = None
    failures = 0
    while True:
        try:
            return await roster.call(
                user_id,
                lambda link, term: link.close(
                    term, episode.mandate, episode.accepted_us, episode.concludes
                ),
            )
        except ActorLost as error:
            episode.error = str(error)
        lost_since = clock.monotonic() if lost_since is None else lost_since
        pause_s = 0.0
        try:
            await roster.revive(user_id)
        except UnknownAccount:
            raise
        except Exception as trouble:  # noqa: BLE001  # a broker's own, too: its budget is the bound
            episode.error = f"{type(trouble).__name__}: {trouble}"
            _log.error("account %s could not be re-armed: %s", user_id, trouble)
            failures += 1
            pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE_S)
        else:
            failures = 0
        if clock.monotonic() - lost_since > budget_s:
            raise ActorLost(
                f"account {user_id!r} gave no answer within {budget_s:g} s of the first loss of "
                f"its actor: {episode.error}"
            )
        if pause_s:
            await clock.sleep(pause_s)
