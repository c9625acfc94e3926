"""What every :class:`engine.brokers.port.Broker` must do, as tests that any broker can be put to.

Subclass :class:`BrokerConformance` and give it a ``stage`` fixture: an account without positions
or orders, at a broker whose market is open. Prices may stand still or move.
"""

from __future__ import annotations

import asyncio
import math
import pickle
from typing import Protocol

import pytest

from engine.brokers.port import LONGEST_TAG, Broker, CloseOrder, Deal, MarginMode, Position, Side
from engine.errors import SymbolUnavailable
from engine.outcomes import Verdict

TAG = "CONFORMS"
_run = asyncio.run


class Stage(Protocol):
    """An account to try a broker on, and the means to put something into it."""

    broker: Broker
    symbol: str
    """A symbol whose market is open."""
    lots: float
    """A volume that can be opened, and closed in two equal parts."""
    hedging: bool
    """Whether the account holds several positions of a symbol."""

    async def open_position(self, side: Side, lots: float) -> int:
        """Open a position of ``symbol`` at the market; return its ticket."""
        ...

    async def place_pending(self) -> int:
        """Place an order that will not be reached; return its ticket."""
        ...


async def close(stage: Stage, position: Position, lots: float, tag: str = TAG) -> Verdict:
    """Send one close and return its verdict."""
    answer = await stage.broker.send_close(
        CloseOrder(position.ticket, position.symbol, position.side, lots, tag)
    )
    return answer.verdict


async def opened(stage: Stage, side: Side = Side.LONG) -> Position:
    """Open a position and read it back."""
    ticket = await stage.open_position(side, stage.lots)
    (position,) = await stage.broker.positions(ticket)
    return position


def exits(deals: tuple[Deal, ...]) -> list[Deal]:
    """Pick the deals that took volume out."""
    return [deal for deal in deals if deal.entry.is_exit]


class BrokerConformance:
    """The promises of the port, one test each."""

    @pytest.fixture
    def stage(self) -> Stage:
        """Provide the account; every subclass overrides it."""
        raise NotImplementedError("override the fixture `stage` in the subclass")

    def test_the_account_is_read_with_finite_money(self, stage: Stage) -> None:
        async def scene() -> None:
            connected = await stage.broker.connect()
            read = await stage.broker.account()
            assert (read.login, read.server) == (connected.login, connected.server)
            assert len(read.currency) == 3
            assert all(map(math.isfinite, (read.balance, read.equity, read.margin)))
            assert read.leverage > 0

        _run(scene())

    def test_the_account_says_whether_it_hedges(self, stage: Stage) -> None:
        async def scene() -> None:
            mode = (await stage.broker.connect()).margin_mode
            assert mode is (MarginMode.HEDGING if stage.hedging else MarginMode.NETTING)

        _run(scene())

    def test_connecting_twice_and_disconnecting_twice_is_harmless(self, stage: Stage) -> None:
        async def scene() -> None:
            await stage.broker.connect()
            first = await stage.broker.connect()
            await stage.broker.disconnect()
            await stage.broker.disconnect()
            assert (await stage.broker.connect()).login == first.login

        _run(scene())

    def test_nothing_is_an_empty_answer_and_not_an_error(self, stage: Stage) -> None:
        async def scene() -> None:
            assert await stage.broker.positions() == ()
            assert await stage.broker.positions(999_999_999) == ()
            assert await stage.broker.deals_of(999_999_999) == ()
            assert await stage.broker.pending_orders() == ()
            assert await stage.broker.deals_between(0, 1_000) == ()

        _run(scene())

    def test_a_symbol_has_a_quote_and_a_specification(self, stage: Stage) -> None:
        async def scene() -> None:
            quote = await stage.broker.quote(stage.symbol)
            spec = await stage.broker.symbol(stage.symbol)
            assert 0 < quote.bid <= quote.ask
            assert spec.name == quote.symbol == stage.symbol
            assert 0 < spec.volume_min <= stage.lots <= spec.volume_max
            assert min(spec.contract_size, spec.volume_step, spec.point) > 0

        _run(scene())

    def test_an_unknown_symbol_is_an_error(self, stage: Stage) -> None:
        async def scene() -> None:
            with pytest.raises(SymbolUnavailable):
                await stage.broker.symbol("NO-SUCH-SYMBOL")
            with pytest.raises(SymbolUnavailable):
                await stage.broker.quote("NO-SUCH-SYMBOL")

        _run(scene())

    @pytest.mark.parametrize("side", list(Side))
    def test_a_position_is_read_by_its_ticket(self, stage: Stage, side: Side) -> None:
        async def scene() -> None:
            position = await opened(stage, side)
            assert position in await stage.broker.positions()
            assert (position.symbol, position.side) == (stage.symbol, side)
            assert position.volume == pytest.approx(stage.lots)
            assert position.identifier > 0
            assert min(position.price_open, position.price_current) > 0
            assert position.position_id == str(position.identifier)

        _run(scene())

    @pytest.mark.parametrize("side", list(Side))
    def test_a_full_close_leaves_nothing_and_its_deal_carries_the_tag(
        self, stage: Stage, side: Side
    ) -> None:
        async def scene() -> None:
            position = await opened(stage, side)
            assert await close(stage, position, position.volume) is Verdict.DONE
            assert await stage.broker.positions(position.ticket) == ()
            (last,) = exits(await stage.broker.deals_of(position.identifier))
            assert last.comment == TAG
            assert last.identifier == position.identifier
            assert last.side is side.opposite
            assert last.volume == pytest.approx(stage.lots)
            assert last.price > 0

        _run(scene())

    def test_the_longest_tag_comes_back_whole(self, stage: Stage) -> None:
        async def scene() -> None:
            tag = "T" * LONGEST_TAG
            position = await opened(stage)
            assert await close(stage, position, position.volume, tag) is Verdict.DONE
            assert exits(await stage.broker.deals_of(position.identifier))[-1].comment == tag

        _run(scene())

    def test_closing_in_two_parts_adds_up(self, stage: Stage) -> None:
        async def scene() -> None:
            position = await opened(stage)
            half = stage.lots / 2
            assert await close(stage, position, half, "PART-1") is Verdict.DONE
            (rest,) = await stage.broker.positions(position.ticket)
            assert rest.volume == pytest.approx(half)
            assert rest.identifier == position.identifier
            assert await close(stage, rest, rest.volume, "PART-2") is Verdict.DONE
            assert await stage.broker.positions() == ()
            deals = exits(await stage.broker.deals_of(position.identifier))
            assert [deal.comment for deal in deals] == ["PART-1", "PART-2"]
            assert sum(deal.volume for deal in deals) == pytest.approx(stage.lots)

        _run(scene())

    def test_the_deals_explain_the_balance(self, stage: Stage) -> None:
        async def scene() -> None:
            before = (await stage.broker.account()).balance
            position = await opened(stage)
            await close(stage, position, position.volume)
            after = await stage.broker.account()
            deals = await stage.broker.deals_of(position.identifier)
            explained = sum(deal.result for deal in deals)
            assert after.balance - before == pytest.approx(explained, abs=0.005)
            assert after.equity == pytest.approx(after.balance)

        _run(scene())

    def test_a_second_close_is_refused_and_changes_nothing(self, stage: Stage) -> None:
        async def scene() -> None:
            if not stage.hedging:
                pytest.skip("on a netting account a second close is a new trade")
            position = await opened(stage)
            assert await close(stage, position, position.volume) is Verdict.DONE
            deals = await stage.broker.deals_of(position.identifier)
            assert await close(stage, position, position.volume) is Verdict.MAYBE_MET
            assert await stage.broker.positions() == ()
            assert await stage.broker.deals_of(position.identifier) == deals

        _run(scene())

    def test_closing_one_position_leaves_the_others(self, stage: Stage) -> None:
        async def scene() -> None:
            if not stage.hedging:
                pytest.skip("a netting account holds one position of a symbol")
            first, second = await opened(stage), await opened(stage, Side.SHORT)
            assert await close(stage, first, first.volume) is Verdict.DONE
            (left,) = await stage.broker.positions()
            assert (left.identifier, left.volume) == (second.identifier, second.volume)
            assert exits(await stage.broker.deals_of(second.identifier)) == []

        _run(scene())

    def test_a_netting_account_adds_up_to_one_position(self, stage: Stage) -> None:
        async def scene() -> None:
            if stage.hedging:
                pytest.skip("a hedging account holds every position apart")
            first = await opened(stage)
            await stage.open_position(Side.LONG, stage.lots)
            (whole,) = await stage.broker.positions()
            assert whole.volume == pytest.approx(2 * stage.lots)
            assert whole.identifier == first.identifier
            assert await close(stage, whole, whole.volume) is Verdict.DONE
            assert await stage.broker.positions() == ()

        _run(scene())

    def test_a_volume_below_one_step_changes_nothing(self, stage: Stage) -> None:
        async def scene() -> None:
            position = await opened(stage)
            step = (await stage.broker.symbol(stage.symbol)).volume_step
            verdict = await close(stage, position, step / 10)
            assert verdict.surely_not_executed
            (left,) = await stage.broker.positions()
            assert left.volume == position.volume

        _run(scene())

    def test_deals_are_found_by_their_time(self, stage: Stage) -> None:
        async def scene() -> None:
            position = await opened(stage)
            await close(stage, position, position.volume)
            deals = await stage.broker.deals_of(position.identifier)
            first, last = deals[0].time_ms, deals[-1].time_ms
            assert await stage.broker.deals_between(first, last) == deals
            assert await stage.broker.deals_between(last + 1, last + 60_000) == ()
            assert await stage.broker.deals_between(0, first - 1) == ()

        _run(scene())

    def test_a_pending_order_is_cancelled_once(self, stage: Stage) -> None:
        async def scene() -> None:
            ticket = await stage.place_pending()
            (order,) = await stage.broker.pending_orders()
            assert (order.ticket, order.symbol) == (ticket, stage.symbol)
            assert order.volume > 0
            assert (await stage.broker.cancel_order(ticket)).verdict is Verdict.DONE
            assert await stage.broker.pending_orders() == ()
            again = (await stage.broker.cancel_order(ticket)).verdict
            assert again is Verdict.MAYBE_MET or again.surely_not_executed

        _run(scene())

    def test_everything_that_is_returned_can_be_sent_to_another_process(self, stage: Stage) -> None:
        async def scene() -> None:
            ticket = await stage.place_pending()
            position = await opened(stage)
            answer = await stage.broker.send_close(
                CloseOrder(position.ticket, position.symbol, position.side, stage.lots, TAG)
            )
            returned: tuple[object, ...] = (
                await stage.broker.account(),
                await stage.broker.quote(stage.symbol),
                await stage.broker.symbol(stage.symbol),
                await stage.broker.pending_orders(),
                await stage.broker.deals_of(position.identifier),
                await stage.broker.cancel_order(ticket),
                position,
                answer,
            )
            assert pickle.loads(pickle.dumps(returned)) == returned

        _run(scene())
