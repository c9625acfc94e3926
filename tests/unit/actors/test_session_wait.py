"""When an episode whose market is closed looks again."""

from __future__ import annotations

import pickle

import pytest

from actors.episode import Episode
from actors.messages import CloseReply
from actors.session_wait import LONGEST_BELIEVED_S, LONGEST_SESSION_PAUSE_S, session_wait
from engine.errors import MarketClosed
from engine.models import BulkCloseResult, GuardTrigger, GuardType
from engine.postponing import soonest_opening_s
from tests.virtual_time import VirtualClock


@pytest.mark.parametrize(
    ("told_s", "soonest_s"),
    [
        ([7200.0, 30.0], 30.0),
        ([None], None),
        ([0.0], None),
        ([float("inf")], None),
        ([7200.0, None], None),
        ([7200.0, 0.0], None),
        ([40.0, None], 40.0),
        ([], None),
    ],
)
def test_a_market_that_nobody_knows_of_does_not_wait_for_one_that_opens_late(
    told_s: list[float | None], soonest_s: float | None
) -> None:
    waiting = [MarketClosed("EURUSD", "1", 1, opens_in_s) for opens_in_s in told_s]
    assert soonest_opening_s(waiting) == soonest_s


async def waited_s(opens_in_s: float | None, looks: int) -> float:
    clock = VirtualClock()
    reply = CloseReply(
        pickle.dumps(BulkCloseResult.of("test", ())), (), waiting=1, opens_in_s=opens_in_s
    )
    episode = Episode(GuardTrigger("ann", GuardType.DRAWDOWN, "test"), 0)
    began = clock.monotonic()
    await session_wait(episode, reply, looks, clock)
    return clock.monotonic() - began


async def test_pauses_grow_where_nobody_knows_when_it_opens() -> None:
    assert [round(await waited_s(None, looks)) for looks in (1, 2, 3)] == [5, 10, 20]
    assert round(await waited_s(None, 50)) == LONGEST_SESSION_PAUSE_S


async def test_an_opening_is_waited_for_but_not_believed_for_ever() -> None:
    assert round(await waited_s(90.0, 1)) == 90
    assert round(await waited_s(30 * 86_400.0, 1)) == LONGEST_BELIEVED_S
