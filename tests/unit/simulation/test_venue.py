from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import pytest

from actors.simulation.clock import TrueTime
from actors.simulation.loop import run_in_virtual_time
from actors.simulation.network import Network
from actors.simulation.portfolio import market
from actors.simulation.process import Process
from actors.simulation.venue import VenueAccount, VenueCalls
from engine.brokers.mt5 import MT5Broker
from engine.brokers.port import CloseOrder, Side
from engine.identity import close_id, close_tag
from engine.outcomes import Verdict
from engine.simulated.account import AccountSettings
from engine.simulated.faults import Fault, FaultKind
from engine.simulated.numbers import MarginMode

_T = TypeVar("_T")
TAG = close_tag(close_id("ann", "1000001", "k"))


class Stand:
    """One account with one long position of half a lot, and a process that can reach it."""

    def __init__(self, mode: MarginMode) -> None:
        self.struck: list[FaultKind] = []
        self.venue = VenueAccount(
            "ann",
            market(0),
            AccountSettings(login=5, margin_mode=mode),
            time=TrueTime(asyncio.get_running_loop()),
            random=Random(1),
            network=Network(Random(2)),
            struck=lambda fault: self.struck.append(fault.kind),
            noted=lambda *_args, **_facts: None,
            seed=1,
        )
        ticket = self.venue.terminal.open_by_hand("EURUSD", 1, 0.5)
        assert ticket is not None
        self.venue.notice()
        self.ticket = ticket
        self.process = Process("ann/1")
        self.broker = self.broker_of(self.process)

    def broker_of(self, process: Process) -> MT5Broker:
        return MT5Broker(VenueCalls(self.venue, process), login=5)

    def order(self, volume: float = 0.5) -> CloseOrder:
        return CloseOrder(self.ticket, "EURUSD", Side.LONG, volume, TAG)

    async def close(self, volume: float = 0.5) -> Any:
        await self.broker.positions(ticket=self.ticket)
        return await self.broker.send_close(self.order(volume))


def on_a_stand(play: Callable[[Stand], Awaitable[_T]], mode: MarginMode = MarginMode.HEDGING) -> _T:
    async def main() -> _T:
        return await play(Stand(mode))

    return run_in_virtual_time(main())


def test_a_request_takes_time_and_is_noted_with_what_was_read() -> None:
    async def play(stand: Stand) -> None:
        answer = await stand.close()
        (seen,) = stand.venue.closes
        assert answer.verdict is Verdict.DONE
        assert (seen.read_volume, seen.open_before, seen.executed_volume) == (0.5, 0.5, 0.5)
        assert seen.arrived_us is not None
        assert seen.answered_us is not None
        assert seen.sent_us < seen.arrived_us < seen.answered_us
        assert seen.tag == TAG
        assert seen.is_conclusive

    on_a_stand(play)


def test_a_read_serves_one_request() -> None:
    async def play(stand: Stand) -> None:
        await stand.close(0.1)
        await stand.broker.send_close(stand.order(0.1))
        assert [seen.read_volume for seen in stand.venue.closes] == [0.5, None]

    on_a_stand(play)


def test_a_request_that_has_left_acts_although_its_sender_dies() -> None:
    async def play(stand: Stand) -> None:
        await stand.broker.positions(ticket=stand.ticket)
        stand.process.run(stand.broker.send_close(stand.order()))
        await asyncio.sleep(0.03)
        assert [seen.arrived_us for seen in stand.venue.closes] == [None]
        stand.process.kill()
        await asyncio.sleep(1)
        (seen,) = stand.venue.closes
        assert seen.executed_volume == 0.5
        assert seen.answered_us is None

    on_a_stand(play)


def test_a_dead_process_reaches_nothing() -> None:
    async def play(stand: Stand) -> None:
        stand.process.kill()
        with pytest.raises(asyncio.CancelledError):
            await stand.broker.positions()

    on_a_stand(play)


def test_a_late_execution_is_known_to_act_until_then() -> None:
    async def play(stand: Stand) -> None:
        stand.venue.faults.arm(Fault(FaultKind.TIMEOUT_THEN_EXECUTED, delay_ms=1_500))
        answer = await stand.close()
        (seen,) = stand.venue.closes
        assert answer.verdict is Verdict.UNKNOWN
        assert not seen.is_conclusive
        assert seen.executed_volume == 0.0
        assert seen.arrived_us is not None
        assert seen.acts_until_us == seen.arrived_us + 1_500_000
        await asyncio.sleep(2)
        assert seen.executed_volume == 0.5
        assert seen.executed_us == pytest.approx(seen.acts_until_us, abs=2_000)

    on_a_stand(play)


def test_a_hang_stops_the_whole_process() -> None:
    async def play(stand: Stand) -> None:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.1)
                ticks.append(asyncio.get_running_loop().time())

        await stand.broker.connect()
        stand.process.run(tick())
        stand.venue.faults.arm(Fault(FaultKind.HANG, call="positions_get", seconds=5.0))
        read = stand.process.run(stand.broker.positions())
        await asyncio.sleep(4)
        assert stand.venue.hanging == {"ann/1": FaultKind.HANG}
        assert not [at_s for at_s in ticks if 0.2 < at_s < 4]
        assert len(await read) == 1
        assert stand.venue.hanging == {}
        assert stand.struck == [FaultKind.HANG]

    on_a_stand(play)


def test_a_process_that_is_killed_while_it_hangs_before_sending_has_sent_nothing() -> None:
    async def play(stand: Stand) -> None:
        await stand.broker.positions(ticket=stand.ticket)
        stand.venue.faults.arm(Fault(FaultKind.HANG, seconds=5.0))
        stand.process.run(stand.broker.send_close(stand.order()))
        await asyncio.sleep(1)
        stand.process.kill()
        await asyncio.sleep(10)
        assert stand.venue.closes == []
        assert stand.venue.terminal.book.positions

    on_a_stand(play)


def test_a_closed_market_strikes_every_order_until_it_opens() -> None:
    async def play(stand: Stand) -> None:
        until_ms = stand.venue.time.wall_ms() + 3_000
        stand.venue.faults.arm(Fault(FaultKind.MARKET_CLOSED, symbol="EURUSD", until_ms=until_ms))
        assert (await stand.close()).code == 10018
        assert (await stand.close()).code == 10018
        await asyncio.sleep(3)
        assert (await stand.close()).code == 10009

    on_a_stand(play)


def test_our_own_earlier_request_is_told_apart_from_a_stop() -> None:
    async def play(stand: Stand) -> None:
        late = stand.broker_of(Process("ann/2"))
        await late.positions(ticket=stand.ticket)
        await stand.close()
        await late.send_close(stand.order())
        assert stand.venue.closes[-1].ours_between == 0.5
        assert stand.venue.closes[-1].executed_volume == 0.5  # it turned the position around

    on_a_stand(play, MarginMode.NETTING)


def test_the_owner_acts_past_all_faults() -> None:
    async def play(stand: Stand) -> None:
        stand.venue.faults.arm(Fault(FaultKind.REQUOTE))
        assert stand.venue.terminal.open_by_hand("GBPUSD", -1, 0.1) is not None
        assert stand.venue.terminal.place_by_hand("GBPUSD", 1, 0.1, 1.0) is not None
        stand.venue.terminal.close_by_hand(stand.ticket)
        stand.venue.terminal.deposit(5.0)
        assert stand.ticket not in stand.venue.terminal.book.positions
        assert stand.struck == []

    on_a_stand(play)
