from __future__ import annotations

import asyncio

from actors.simulation.clock import TrueTime
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.history import History
from actors.simulation.loop import run_in_virtual_time


def story() -> History:
    async def main() -> History:
        history = History(TrueTime(asyncio.get_running_loop()))
        for kind, user, facts in (
            ("killed", "", {"process": "supervisor/1"}),
            ("order", "ann", {"number": 1}),
            ("order", "bob", {"number": 9}),
            ("alarm", "", {"text": "account ann is locked"}),
            ("answered", "ann", {"number": 1}),
            ("fault", "", {"what": Disturbance.REPLY_LOST}),
            ("unanswered", "", {"call": "close"}),
            ("calm", "", {}),
        ):
            history.note(kind, user, **facts)
            await asyncio.sleep(1)
        return history

    return run_in_virtual_time(main())


def kinds(lines: list[str]) -> list[str]:
    known = ("killed", "order", "alarm", "answered", "fault", "unanswered", "calm")
    return [kind for line in lines for kind in known if f" {kind} " in line]


def test_a_short_story_ends_with_its_accounts_last_event() -> None:
    assert kinds(story().excerpt("ann")) == ["killed", "order", "alarm", "answered"]


def test_a_short_story_ends_at_the_violation() -> None:
    assert kinds(story().excerpt("ann", up_to_us=1_500_000)) == ["killed", "order"]
    assert kinds(story().excerpt("ann", most=1, up_to_us=1_500_000)) == ["order"]


def test_the_engines_own_story_has_everything() -> None:
    assert len(story().excerpt("")) == 8
