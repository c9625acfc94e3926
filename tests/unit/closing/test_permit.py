"""A life that may not send any more: it sends nothing, and makes nothing final."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from engine.brokers import MT5Broker
from engine.brokers.port import Answer, CloseOrder, Side
from engine.bulk import close_now
from engine.errors import BrokerError
from engine.lease import LeaseLost
from engine.outcomes import Outcome, Verdict
from engine.prices import scenario
from engine.simulated import AccountSettings, Market, SimulatedTerminal
from tests.scripted_broker import ScriptedBroker, fill, say
from tests.unit.closing.conftest import Desk
from tests.virtual_time import VirtualClock


@dataclass
class Leash:
    """A permit that is taken away when the test says."""

    lost: bool = False
    lapses: int = 0
    """Checks that fail although the permit can be had again."""
    secured_count: int = 0

    def check(self) -> None:
        if self.lapses:
            self.lapses -= 1
            raise LeaseLost("lapsed")
        if self.lost:
            raise LeaseLost("lost")

    async def secured(self) -> None:
        self.secured_count += 1
        await asyncio.sleep(0)
        if self.lost:
            raise LeaseLost("lost")


async def test_nothing_is_read_or_sent_without_a_permit(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.unreadable = 1
    account = desk.life(permit=Leash(lost=True))
    with pytest.raises(LeaseLost):
        await account.close(desk.request())
    assert desk.broker.unreadable == 1, "nothing was read"
    assert desk.broker.sent == []
    assert desk.ledger.entries == []
    assert len(account.memory) == 0


async def test_a_permit_lost_during_the_read_stops_the_request(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()
    account = desk.life(permit=leash)
    real = desk.broker.deals_of

    async def losing(identifier: int) -> object:
        leash.lost = True
        return await real(identifier)

    desk.broker.deals_of = losing  # type: ignore[method-assign, assignment]
    with pytest.raises(LeaseLost):
        await account.close(desk.request())
    assert desk.broker.sent == []
    assert desk.ledger.entries == []


async def test_a_permit_that_lapsed_during_the_read_is_renewed_and_the_read_repeated(
    desk: Desk,
) -> None:
    desk.broker.add(1)
    leash = Leash(lapses=1)
    result = await desk.life(permit=leash).close(desk.request())
    assert (result.outcome, result.attempts) == (Outcome.DONE, 1)
    assert leash.secured_count == 2


async def test_a_permit_that_keeps_lapsing_ends_the_close(desk: Desk) -> None:
    desk.broker.add(1)
    with pytest.raises(LeaseLost):
        await desk.life(permit=Leash(lapses=100)).close(desk.request())
    assert desk.broker.sent == []
    assert desk.ledger.entries == []


async def test_the_permit_is_asked_before_every_repetition(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()

    def refuse_and_lose(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        return say(Verdict.RETRY_NOW)(broker, broker.sent[-1])

    desk.broker.script.append(refuse_and_lose)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await desk.life(permit=leash).close(desk.request())
    assert len(desk.broker.sent) == 1
    assert desk.ledger.entries == []


async def test_an_unknown_is_not_concluded_without_a_permit(desk: Desk) -> None:
    """The next life settles it: what is final is said once."""
    desk.broker.add(1)
    leash = Leash()

    def vanish(broker: ScriptedBroker, order: object) -> object:
        broker.open.clear()
        leash.lost = True
        return say(Verdict.UNKNOWN, 10012)(broker, broker.sent[-1])

    desk.broker.script.append(vanish)  # type: ignore[arg-type]
    account = desk.life(permit=leash)
    with pytest.raises(LeaseLost):
        await account.close(desk.request())
    assert desk.ledger.entries == []
    assert list(account.memory) == []


async def test_a_refusal_is_not_concluded_without_a_permit(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()

    def refuse(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        return say(Verdict.OPERATOR, 10017)(broker, broker.sent[-1])

    desk.broker.script.append(refuse)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await desk.life(permit=leash).close(desk.request())
    assert desk.ledger.entries == []


async def test_what_deals_prove_is_recorded_all_the_same(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()

    def fill_and_lose(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        return fill()(broker, broker.sent[-1])

    desk.broker.script.append(fill_and_lose)  # type: ignore[arg-type]
    result = await desk.life(permit=leash).close(desk.request())
    assert result.outcome is Outcome.DONE
    assert len(desk.ledger.entries) == 1


async def test_a_lost_permit_stops_the_rest_of_a_call(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    leash = Leash()

    def fill_and_lose(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        return fill()(broker, broker.sent[-1])

    desk.broker.script.append(fill_and_lose)  # type: ignore[arg-type]
    account = desk.life(permit=leash)
    with pytest.raises(LeaseLost):
        await close_now(account, None, close_reason="t", key="k", initiator="t", clock=desk.clock)
    assert len(desk.broker.sent) == 1
    assert [result.outcome for result, _ in desk.ledger.entries] == [Outcome.DONE]
    assert [ref.ticket for ref in account.memory.refs_under("k")] == [1]


async def test_who_waits_for_the_same_answer_hears_of_the_loss(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()
    account = desk.life(permit=leash)
    leash.lost = True
    both = await asyncio.gather(
        account.close(desk.request()), account.close(desk.request()), return_exceptions=True
    )
    assert [type(error) for error in both] == [LeaseLost, LeaseLost]


async def test_a_key_whose_life_lost_its_permit_is_finished_by_the_next(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()

    def execute_silently(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        broker.unreadable = 10_000
        return fill(1.0, Verdict.UNKNOWN)(broker, broker.sent[-1])

    desk.broker.script.append(execute_silently)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await desk.life(permit=leash).close(desk.request())
    desk.broker.unreadable = 0
    heir = desk.life()
    heir.wait_for_predecessor()
    result = await heir.close(desk.request())
    assert (result.outcome, result.attempts, result.volume) == (Outcome.DONE, 0, 1.0)
    assert len(desk.broker.sent) == len(desk.ledger.entries) == 1


async def test_late_deals_of_a_lost_life_make_no_unproven_result(desk: Desk) -> None:
    desk.broker.add(1)
    leash = Leash()

    def fill_hidden(broker: ScriptedBroker, order: object) -> object:
        leash.lost = True
        broker.hidden_deal_reads = 10_000
        return fill()(broker, broker.sent[-1])

    desk.broker.script.append(fill_hidden)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await desk.life(permit=leash).close(desk.request())
    assert desk.ledger.entries == []


async def test_the_wait_for_a_predecessor_comes_before_everything(desk: Desk) -> None:
    desk.broker.add(1)
    order: list[str] = []

    class Noting(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            order.append(f"slept {seconds}")
            await super().sleep(seconds)

    desk.clock = Noting()

    async def load() -> None:
        order.append(f"loaded, {len(desk.broker.sent)} sent")

    account = desk.life(before_first_order=load)
    account.wait_for_predecessor(3.5)
    await account.open_positions()
    await account.close(desk.request())
    assert order[:2] == ["slept 3.5", "loaded, 0 sent"]
    assert len([entry for entry in order if entry.startswith("loaded")]) == 1


async def test_a_hook_that_fails_sends_nothing_and_is_tried_again(desk: Desk) -> None:
    desk.broker.add(1)
    trouble: list[Exception] = [BrokerError("the journal is away")]

    async def load() -> None:
        if trouble:
            raise trouble.pop()

    account = desk.life(before_first_order=load)
    with pytest.raises(BrokerError, match="journal is away"):
        await account.close(desk.request())
    assert desk.broker.sent == []
    assert (await account.close(desk.request())).outcome is Outcome.DONE


class SlowPriceBroker(ScriptedBroker):
    """A broker whose orders need other calls first, in which time passes."""

    def __init__(self, leash: Leash, *, lost: bool) -> None:
        super().__init__()
        self._leash = leash
        self._lost = lost
        self._check: Callable[[], None] = leash.check

    def use_check(self, check: Callable[[], None]) -> None:
        self._check = check

    async def send_close(self, order: CloseOrder) -> Answer:
        if not self.sent:
            self._leash.lost, self._leash.lapses = self._lost, 0 if self._lost else 2
        try:
            self._check()
        except LeaseLost as lost:
            self.sent.append(order)
            return Answer(Verdict.NOT_SENT, 0, str(lost))
        return await super().send_close(order)


async def test_a_broker_that_asks_again_may_find_the_permit_renewed(desk: Desk) -> None:
    leash = Leash()
    desk.broker = SlowPriceBroker(leash, lost=False)
    desk.broker.add(1)
    result = await desk.life(permit=leash).close(desk.request())
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)


async def test_a_broker_that_asks_again_and_finds_it_lost_ends_the_close(desk: Desk) -> None:
    leash = Leash()
    desk.broker = SlowPriceBroker(leash, lost=True)
    desk.broker.add(1)
    with pytest.raises(LeaseLost):
        await desk.life(permit=leash).close(desk.request())
    assert 1 in desk.broker.open
    assert desk.ledger.entries == []


async def test_the_adapter_asks_right_before_the_request() -> None:
    """Opening the connection anew can take a minute."""
    prices = scenario("snb-2015").generate(1)
    terminal = SimulatedTerminal(Market([prices]), AccountSettings(currency="EUR"))
    leash = Leash()

    class LosingPermit:
        def __getattr__(self, name: str) -> Any:
            if name == "symbol_info_tick":
                leash.lost = True
            return getattr(terminal, name)

    broker = MT5Broker(LosingPermit())
    broker.use_check(leash.check)
    await broker.connect()
    symbol = terminal.market.symbols[0]
    answer = await broker.send_close(CloseOrder(1, symbol, Side.LONG, 0.1, "re.tag"))
    assert answer.verdict is Verdict.NOT_SENT
    assert "lost" in answer.text
    assert not [deal for deal in terminal.book.deals if deal.position_id]
    assert (await broker.cancel_order(1)).verdict is Verdict.NOT_SENT
