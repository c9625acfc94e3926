"""When every episode began and ended, and how long it waited for which opening of its market."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from actors.messages import EpisodeState
from actors.simulation.facts import EpisodeSeen, WaitSeen
from actors.simulation.fault_kinds import terminal_kind
from actors.simulation.history import History
from actors.simulation.untroubled import Troubles
from engine.simulated.faults import FaultKind

_CLOSED = terminal_kind(FaultKind.MARKET_CLOSED)


@dataclass(slots=True)
class _Followed:
    """An episode, and when it waited."""

    seen: EpisodeSeen
    waits: list[tuple[int, int | None]] = field(default_factory=list)


def follow_episodes(
    history: History, calm_us: int, accepted: Collection[tuple[str, str]]
) -> tuple[list[EpisodeSeen], list[WaitSeen]]:
    """Read off a history when episodes began, waited and ended.

    Args:
        history: of the whole run.
        calm_us: when the last fault was over: a market that was closed for longer opens then.
        accepted: accounts and names of the episodes whose mandates were on disk. A name that died
            unwritten may be another account's later.
    """
    followed: dict[tuple[str, str], _Followed] = {}
    closed: dict[str, list[tuple[int, int]]] = {}
    for event in history:
        if event.kind == "market closed":
            of_account = closed.setdefault(event.user_id, [])
            of_account.append((event.at_us, min(calm_us, event.facts["until_us"])))
        elif event.kind == "episode":
            name, state = event.facts["episode"], EpisodeState(event.facts["state"])
            its = event.user_id, name
            seen = EpisodeSeen(*its, event.at_us, is_on_disk=its in accepted)
            one = followed.setdefault(its, _Followed(seen))
            _turn(one, state, event.at_us)
    troubles = Troubles(event for event in history if event.facts.get("what") != _CLOSED)
    waits = [
        _wait(one.seen, since_us, until_us, closed.get(one.seen.user_id, []), troubles)
        for one in followed.values()
        if one.seen.is_on_disk
        for since_us, until_us in one.waits
    ]
    return [one.seen for one in followed.values()], waits


def _turn(one: _Followed, state: EpisodeState, at_us: int) -> None:
    if one.waits and one.waits[-1][1] is None:
        one.waits[-1] = one.waits[-1][0], at_us
    if state is EpisodeState.WAITING:
        one.waits.append((at_us, None))
        if one.seen.waited_us is None:
            one.seen.waited_us = at_us
    elif state.is_final:
        one.seen.ended_us = at_us


def _wait(
    seen: EpisodeSeen,
    since_us: int,
    until_us: int | None,
    closed: list[tuple[int, int]],
    troubles: Troubles,
) -> WaitSeen:
    # Which of the account's markets an episode waits for is not told: the last one counts.
    opened_us = max(
        (
            over_us
            for begun_us, over_us in closed
            if over_us > since_us and (until_us is None or begun_us <= until_us)
        ),
        default=since_us,
    )
    end_us = opened_us if until_us is None else max(opened_us, until_us)
    return WaitSeen(
        user_id=seen.user_id,
        episode=seen.name,
        first_us=since_us if seen.waited_us is None else seen.waited_us,
        opened_us=opened_us,
        until_us=until_us,
        is_troubled=troubles.touched(seen.user_id, opened_us, end_us),
    )
