"""What an episode met and left is recorded with its results, and gives way to closes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from actors.recording import RecordKeeper
from actors.witness import Witness
from audit.chain import ChainWriter
from audit.records import EventType, record_of
from engine.brokers.port import Answer, CloseOrder
from engine.closing import AccountCloser
from engine.mandates import DirectClose
from engine.models import CloseRequest
from engine.sighting import Sighting
from tests.scripted_broker import ScriptedBroker, fill
from tests.virtual_time import VirtualClock

MANDATE = DirectClose("e1", "ann", "by hand", None, is_bulk=True)


class Bench:
    """A closer, its keeper, and a witness between them."""

    def __init__(self, most_held: int = 100) -> None:
        clock = VirtualClock()
        self.broker = ScriptedBroker()
        self.keeper = RecordKeeper("ann", ChainWriter("account:ann:1"), clock, most_held=most_held)
        self.closer = AccountCloser(
            "ann", self.broker, clock=clock, random=Random(1), ledger=self.keeper
        )
        self.witness = Witness(self.closer, self.keeper, 1)

    def begin(self, *, goes_on: bool = False) -> None:
        self.witness.begin(MANDATE, goes_on=goes_on)
        self.keeper.begin(self.witness.met)

    async def close(self, ticket: int) -> None:
        await self.closer.open_positions()
        await self.closer.close(CloseRequest(str(ticket), ticket, "ann", "by hand"))

    @property
    def kinds(self) -> list[EventType]:
        return [record_of(one.body).event_type for one in self.keeper.take()]


def watching(bench: Bench, held: list[int]) -> Callable[[ScriptedBroker, CloseOrder], Answer]:
    def reply(broker: ScriptedBroker, order: CloseOrder) -> Answer:
        held.append(bench.keeper.held)
        return fill()(broker, order)

    return reply


async def test_nothing_is_sealed_before_the_first_order() -> None:
    bench = Bench()
    bench.broker.add(1)
    held: list[int] = []
    bench.broker.script.append(watching(bench, held))
    bench.begin()
    await bench.close(1)
    assert held == [0]
    assert bench.kinds == [EventType.ACCOUNT_SEEN, EventType.POSITION_CLOSED]


async def test_what_was_met_is_recorded_once() -> None:
    bench = Bench()
    bench.broker.add(1)
    bench.broker.add(2)
    bench.begin()
    await bench.close(1)
    await bench.close(2)
    bench.witness.left(MANDATE, None)
    assert bench.kinds.count(EventType.ACCOUNT_SEEN) == 1


async def test_an_episode_that_goes_on_was_met_before() -> None:
    bench = Bench()
    bench.broker.add(1)
    bench.begin(goes_on=True)
    await bench.close(1)
    bench.witness.left(MANDATE, None)
    assert bench.kinds == [EventType.POSITION_CLOSED]


async def test_an_account_that_was_empty_is_recorded_too() -> None:
    bench = Bench()
    bench.begin()
    await bench.closer.open_positions()
    bench.witness.left(MANDATE, Sighting(1, None, ()))
    assert bench.kinds == [EventType.ACCOUNT_SEEN, EventType.ACCOUNT_SEEN]


async def test_what_another_episode_saw_is_not_recorded_for_this_one() -> None:
    bench = Bench()
    bench.broker.add(1)
    await bench.closer.open_positions()
    bench.begin()
    bench.witness.left(MANDATE, None)
    assert bench.kinds == []


async def test_sightings_take_no_room_from_closes() -> None:
    bench = Bench(most_held=1)
    bench.broker.add(1)
    bench.broker.add(2)
    await bench.close(1)
    bench.begin()
    await bench.close(2)
    bench.witness.left(MANDATE, Sighting(1, None, ()))
    assert bench.keeper.held == 2, "the first close, and a summary of the second"
    bench.keeper.acknowledged(1)
    assert bench.kinds == [EventType.POSITION_CLOSED]
