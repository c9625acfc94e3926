"""The broker of an account at a venue: what it asks, and what it says when nobody answers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine.brokers import Broker, CloseOrder, MarketFeed, load_broker
from engine.errors import BrokerUnavailable
from engine.outcomes import Verdict
from engine.simulated.replay import replay_broker
from engine.simulated.served import (
    ExternalReplay,
    PriceSource,
    VenueBehaviour,
    VenueControl,
    external_broker,
)
from tests.unit.simulated.served.arranging import LOGIN, TICKS, account, plan
from tests.unit.simulated.served.serving import TOKEN, Serving, serving

REFERENCE = "engine.simulated.served:external_broker"


def broker_of(venue: Serving, **more: Any) -> ExternalReplay:
    options = {"port": venue.port, "token": TOKEN, "login": LOGIN, **more}
    broker = load_broker(REFERENCE, "ann", options)
    assert isinstance(broker, ExternalReplay)
    return broker


async def close_first(broker: Broker) -> Verdict:
    first = (await broker.positions())[0]
    order = CloseOrder(first.ticket, first.symbol, first.side, first.volume, "TAG")
    return (await broker.send_close(order)).verdict


async def test_a_close_goes_through_the_adapter() -> None:
    with serving(plan()) as venue:
        broker = broker_of(venue)
        assert (await broker.connect()).login == LOGIN
        assert await close_first(broker) is Verdict.DONE
        assert len(await broker.positions()) == 1
        await broker.disconnect()


@pytest.mark.parametrize("share_cut", [0.0, 1.0])
async def test_a_lost_answer_is_an_unknown_outcome_and_the_next_read_reconnects(
    share_cut: float,
) -> None:
    manners = VenueBehaviour(rate_lost_answers=1.0, share_cut=share_cut)
    with serving(plan(behaviour=manners)) as venue:
        broker = broker_of(venue, timeout_s=0.3)
        assert await close_first(broker) is Verdict.UNKNOWN
        assert len(await broker.positions()) == 1
        await broker.disconnect()


async def test_a_venue_that_is_down_is_an_error_of_every_read() -> None:
    with serving(plan()) as venue:
        broker = broker_of(venue)
        await broker.connect()
        control = VenueControl(venue.port, TOKEN)
        control.go_down()
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                await broker.positions()
        control.come_up()
        assert len(await broker.positions()) == 2
        await broker.disconnect()
        control.close()


async def test_a_replay_is_walked_to_its_end_and_a_successor_sees_its_place() -> None:
    with serving(plan()) as venue:
        broker = broker_of(venue)
        await broker.connect()
        assert isinstance(broker, MarketFeed)
        seen: list[int] = []
        while broker.due_in() is not None and len(seen) < 3:
            broker.advance()
            seen.append((await broker.quote("EURUSD")).time_ms)
        assert seen == [tick[0] for tick in TICKS[:3]]
        await broker.disconnect()
        successor = broker_of(venue)
        await successor.connect()
        while successor.due_in() is not None:
            successor.advance()
            seen.append((await successor.quote("EURUSD")).time_ms)
        assert seen == [tick[0] for tick in (*TICKS[:3], *TICKS[2:])]
        await successor.disconnect()


async def test_a_replay_without_its_venue_moves_nothing_and_looks_again() -> None:
    with serving(plan()) as venue:
        broker = broker_of(venue)
        await broker.connect()
        broker.advance()
        venue.ask(lambda server: server.go_down())
        broker.advance()
        assert broker.due_in() == 0.05
        venue.ask(lambda server: server.come_up())
        assert (await broker.quote("EURUSD")).time_ms == TICKS[0][0]
        assert broker.due_in() == 0.0
        await broker.disconnect()


async def test_the_venue_and_one_process_give_the_same_results() -> None:
    prices = PriceSource(symbol="EURUSD", ticks=TICKS)
    stand_at_ms, latency_ms = TICKS[1][0] + 500, 2
    inside = replay_broker(
        "ann",
        prices=prices.path(),
        login=LOGIN,
        positions=[("long", 1.0), ("short", 0.5)],
        latency_ms=latency_ms,
        stand_at_ms=stand_at_ms,
        pause=None,
    )
    manners = VenueBehaviour(latency_ms=latency_ms)
    with serving(plan(behaviour=manners, stand_at_ms=stand_at_ms)) as venue:
        outside = broker_of(venue)
        states = []
        for broker in (inside, outside):
            await broker.connect()
            before = await broker.account()
            assert await close_first(broker) is Verdict.DONE
            broker.advance()
            broker.advance()
            states.append((before, await broker.account(), await broker.deals_between(0, 2**42)))
        assert states[0] == states[1]
        assert states[0][0].equity != 10_000.0
        await outside.disconnect()


async def test_speed_paces_the_market() -> None:
    with serving(plan()) as venue:
        now = [100.0]
        quick = broker_of(venue, speed=2.0)
        broker = ExternalReplay(
            quick.terminal, login=LOGIN, timeout_s=30, speed=2.0, monotonic=lambda: now[0]
        )
        await broker.connect()
        broker.advance()
        assert broker.due_in() == 0.5
        now[0] += 0.4
        assert broker.due_in() == pytest.approx(0.1)
        broker.advance()
        assert broker.due_in() == pytest.approx(0.6)
        await broker.disconnect()


def test_without_replay_the_market_is_polled() -> None:
    broker = external_broker("ann", port=1, token="x", login=1, replay=False)
    assert not isinstance(broker, MarketFeed)


@pytest.mark.parametrize(
    ("option", "value"), [("timeout_s", 0), ("timeout_s", float("inf")), ("speed", -1.0)]
)
def test_a_wrong_option_is_named(option: str, value: float) -> None:
    options: dict[str, Any] = {"port": 1, "token": "x", "login": 1, option: value}
    with pytest.raises(ValueError, match=f"^{option}="):
        external_broker("ann", **options)


def test_an_accounts_process_imports_nothing_heavy() -> None:
    code = (
        "import sys, engine.simulated.served as served\n"
        "served.external_broker('ann', port=1, token='x', login=1)\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'pydantic', 'ray', 'duckdb', 'sqlalchemy'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules)) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


async def test_every_account_counts_for_itself() -> None:
    with serving(plan(account(), account(LOGIN + 1))) as venue:
        broker = broker_of(venue)
        await close_first(broker)
        control = VenueControl(venue.port, TOKEN)
        counts = control.counts()
        assert [counts[LOGIN].executed, counts[LOGIN + 1].executed] == [1, 0]
        await broker.disconnect()
        control.close()
