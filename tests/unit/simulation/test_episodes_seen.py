from __future__ import annotations

import asyncio
from typing import Any

from actors.simulation.clock import TrueTime
from actors.simulation.episodes_seen import follow_episodes
from actors.simulation.facts import EpisodeSeen, WaitSeen
from actors.simulation.history import Event, History
from actors.simulation.loop import run_in_virtual_time

SECOND = 1_000_000
CALM = 30 * SECOND


def history(*events: tuple[int, str, dict[str, Any]]) -> History:
    """Make a history of events of one account, dated in seconds."""

    async def made() -> History:
        return History(TrueTime(asyncio.get_running_loop()))

    one = run_in_virtual_time(made())
    one.events += [Event(at_s * SECOND, kind, "ann", facts) for at_s, kind, facts in events]
    return one


def turn(at_s: int, state: str) -> tuple[int, str, dict[str, Any]]:
    return at_s, "episode", {"episode": "crash", "state": state}


def closed(at_s: int, until_s: int) -> tuple[int, str, dict[str, Any]]:
    return at_s, "market closed", {"until_us": until_s * SECOND}


CRASH = [("ann", "crash")]
TURNS = (turn(2, "accepted"), turn(2, "closing"), turn(3, "waiting"), turn(14, "closing"))


def test_an_episode_is_followed_through_its_waits_to_its_end() -> None:
    again = (turn(15, "waiting"), turn(18, "closing"), turn(19, "flat"))
    episodes, waits = follow_episodes(history(closed(0, 10), *TURNS, *again), CALM, CRASH)
    assert episodes == [EpisodeSeen("ann", "crash", 2 * SECOND, 3 * SECOND, 19 * SECOND)]
    assert waits == [
        WaitSeen("ann", "crash", 3 * SECOND, 10 * SECOND, 14 * SECOND, False),
        WaitSeen("ann", "crash", 3 * SECOND, 15 * SECOND, 18 * SECOND, False),
    ]


def test_the_last_of_the_markets_that_were_closed_meanwhile_counts_and_calm_opens_all() -> None:
    _, (wait,) = follow_episodes(history(closed(0, 10), closed(5, 90), *TURNS), CALM, CRASH)
    assert wait.opened_us == CALM
    _, (wait,) = follow_episodes(history(closed(0, 10), *TURNS, closed(15, 90)), CALM, CRASH)
    assert wait.opened_us == 10 * SECOND


def test_a_wait_that_never_ends_has_no_end() -> None:
    (episode,), (wait,) = follow_episodes(history(closed(0, 10), *TURNS[:3]), CALM, CRASH)
    assert (episode.ended_us, wait.until_us, wait.opened_us) == (None, None, 10 * SECOND)


def test_a_refused_order_is_no_trouble_and_a_kill_is() -> None:
    refused = 9, "fault", {"what": "terminal: market_closed"}
    _, (wait,) = follow_episodes(history(closed(0, 10), *TURNS[:3], refused, TURNS[3]), CALM, CRASH)
    assert not wait.is_troubled
    killed = 12, "killed", {"process": "ann/1"}
    _, (wait,) = follow_episodes(history(closed(0, 10), *TURNS[:3], killed, TURNS[3]), CALM, CRASH)
    assert wait.is_troubled


def test_an_episode_that_was_never_on_disk_is_told_apart() -> None:
    (episode,), waits = follow_episodes(history(*TURNS), CALM, [])
    assert not episode.is_on_disk
    assert waits == []


def test_a_name_that_died_unwritten_is_not_on_disk_because_another_account_took_it() -> None:
    (episode,), waits = follow_episodes(history(*TURNS), CALM, [("bob", "crash")])
    assert not episode.is_on_disk
    assert waits == []
