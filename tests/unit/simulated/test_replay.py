"""The replaying broker: where an account begins, and how fast the market comes to it."""

from __future__ import annotations

import json
from array import array
from dataclasses import replace

import pytest

from engine.brokers import AccountSpec, open_broker
from engine.brokers.port import CloseOrder, SessionTimes, Side
from engine.clock import SystemClock
from engine.errors import BrokerUnavailable
from engine.models import GuardType
from engine.outcomes import Verdict
from engine.prices import PricePath
from engine.simulated.replay import ReplayBroker, replay_broker
from engine.simulated.sessions import Session
from engine.simulated.symbols import symbol_settings
from engine.watch import AccountWatch, Look

START_MS = 1_700_000_000_000


def path(*bids: float, spread: float = 0.0001) -> PricePath:
    """Make a path of one tick a second."""
    return PricePath(
        "EURUSD",
        5,
        "made for a test",
        array("q", (START_MS + n * 1000 for n in range(len(bids)))),
        array("d", bids),
        array("d", (round(bid + spread, 5) for bid in bids)),
    )


def broker(prices: PricePath, **more: object) -> ReplayBroker:
    positions = [("long", 1.0), ("short", 0.5)]
    return replay_broker("ann", prices=prices, positions=positions, pause=None, **more)  # type: ignore[arg-type]


async def looks(feed: ReplayBroker) -> list[Look]:
    """Let an account's guards see the whole path, as its actor does."""
    watch = AccountWatch("ann", feed, SystemClock())
    seen = []
    while feed.due_in() is not None:
        feed.advance()
        seen.append(await watch.look())
    return seen


async def test_positions_are_opened_at_the_first_tick() -> None:
    feed = broker(path(1.1, 1.2))
    await feed.connect()
    opened = [(p.side, p.volume, p.price_open) for p in await feed.positions()]
    assert opened == [(Side.LONG, 1.0, 1.1001), (Side.SHORT, 0.5, 1.1)]


async def test_connecting_again_opens_nothing_more() -> None:
    feed = broker(path(1.1, 1.2))
    await feed.connect()
    await feed.connect()
    assert len(await feed.positions()) == 2


async def test_every_tick_is_seen_once_the_first_among_them() -> None:
    feed = broker(path(1.1, 1.2, 1.3))
    await feed.connect()
    bids = []
    while feed.due_in() is not None:
        feed.advance()
        bids.append((await feed.quote("EURUSD")).bid)
    assert bids == [1.1, 1.2, 1.3]


async def test_guards_measure_from_the_state_right_after_opening() -> None:
    # 3.2 % down at once: only whoever has seen the first price can tell that it was a gap.
    feed = broker(path(1.100, 1.065, 1.065), deposit=1_000_000.0)
    await feed.connect()
    seen = await looks(feed)
    trigger = seen[1].trigger
    assert seen[0].trigger is None
    assert trigger is not None
    assert (trigger.guard, trigger.reason.split()[0]) == (GuardType.MARKET, "gap")


async def test_the_first_peak_is_the_equity_right_after_opening() -> None:
    feed = broker(path(1.100, 1.075, 1.050))
    await feed.connect()
    equity = (await feed.account()).equity
    trigger = (await looks(feed))[-1].trigger or pytest.fail("the drawdown guard must trip")
    assert trigger.inputs["peak"] == equity


async def test_an_account_that_stands_later_is_watched_from_there() -> None:
    feed = broker(path(1.1, 1.2, 1.3), stand_at_ms=START_MS + 1000)
    await feed.connect()
    assert (await feed.quote("EURUSD")).bid == 1.2
    assert len(await looks(feed)) == 2


async def test_the_pace_is_market_time_over_speed() -> None:
    now = [50.0]
    terminal = broker(path(1.1, 1.2, 1.3)).terminal
    feed = ReplayBroker(terminal, speed=2.0, monotonic=lambda: now[0])
    await feed.connect()
    assert feed.due_in() == 0.0
    feed.advance()
    assert feed.due_in() == 0.5
    now[0] += 0.5
    assert feed.due_in() == 0.0
    feed.advance()
    now[0] += 0.3
    assert feed.due_in() == pytest.approx(0.2)
    now[0] += 9
    feed.advance()
    assert feed.due_in() is None


async def test_a_position_that_cannot_be_opened_is_told() -> None:
    feed = broker(path(1.1), deposit=10.0)
    with pytest.raises(BrokerUnavailable, match=r"1\.0 lots long of EURUSD.*less leverage"):
        await feed.connect()


async def test_a_specification_can_state_faults_and_shocks_as_plain_data() -> None:
    options = json.loads(
        """{
            "positions": [["long", 1.0]],
            "faults": {"seed": 3, "faults": [{"kind": "requote"}]},
            "shocks": [{"kind": "gap", "at_ms": 1700000001000, "points": -500}]
        }"""
    )
    feed = open_broker(
        AccountSpec(
            user_id="ann",
            broker="engine.simulated.replay:replay_broker",
            options=options | {"prices": path(1.1, 1.1), "pause": None},
        )
    )
    assert isinstance(feed, ReplayBroker)
    await feed.connect()
    (position,) = await feed.positions()  # opening it met no fault
    feed.advance()
    feed.advance()
    assert (await feed.quote("EURUSD")).bid == 1.095
    order = CloseOrder(position.ticket, "EURUSD", Side.LONG, 1.0, "RE-TAG")
    answers = [await feed.send_close(order), await feed.send_close(order)]
    assert [answer.verdict for answer in answers] == [Verdict.RETRY_NOW, Verdict.DONE]
    (deal,) = (deal for deal in await feed.deals_of(position.identifier) if deal.entry.is_exit)
    assert deal.price == 1.095


async def test_a_fact_is_hidden_for_wall_time() -> None:
    now = [50.0]
    feed = replay_broker(
        "ann",
        prices=path(1.1),
        positions=[("long", 1.0)],
        faults=[{"kind": "lingering_position", "delay_ms": 300}],
        pause=None,
        monotonic=lambda: now[0],
    )
    await feed.connect()
    (position,) = await feed.positions()
    await feed.send_close(CloseOrder(position.ticket, "EURUSD", Side.LONG, 1.0, "RE-TAG"))
    assert len(await feed.positions()) == 1
    now[0] += 0.31
    assert await feed.positions() == ()


def test_a_wrong_plan_or_shock_is_named() -> None:
    with pytest.raises(ValueError, match=r"faults\[0\]: kind is missing"):
        broker(path(1.1), faults=[{}])
    with pytest.raises(ValueError, match=r"shocks\[0\]: gap of 5 points.*no tick is there"):
        broker(path(1.1), shocks=[{"kind": "gap", "at_ms": START_MS + 1, "points": 5}])
    with pytest.raises(ValueError, match="seconds=5 of hang is wall time"):
        broker(path(1.1), faults=[{"kind": "hang", "seconds": 5}])


async def test_a_replay_knows_when_its_market_opens() -> None:
    """2023-11-14, a Tuesday, 22:13:20; trading is possible on Wednesdays only."""
    weekly = replace(symbol_settings("EURUSD"), sessions=(Session(3),))
    wait_s = 24 * 3600 - (START_MS / 1000) % (24 * 3600)
    feed = broker(path(1.1, 1.2), speed=60.0, symbols=[weekly])
    assert isinstance(feed, SessionTimes)
    assert await feed.opens_in_s("EURUSD") == pytest.approx(wait_s / 60)
    assert await feed.opens_in_s("NOSUCH") is None
    flat_out = broker(path(1.1, 1.2), symbols=[weekly])
    assert await flat_out.opens_in_s("EURUSD") is None, "nothing ties it to the wall's clock"
    always = broker(path(1.1, 1.2))
    assert await always.opens_in_s("EURUSD") == 0.0
