"""A broker that demands oldest first, on an account that does not say so."""

from __future__ import annotations

from dataclasses import replace

from engine.brokers.port import Answer, CloseOrder, Position
from engine.bulk import close_now
from engine.models import CloseResult
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import ScriptedBroker, fill, say
from tests.unit.closing.conftest import Desk


class FifoBroker(ScriptedBroker):
    """Refuses with 10045 while an older position of the symbol is open (ticket is age)."""

    async def send_close(self, order: CloseOrder) -> Answer:
        older = [p for p in self.open.values() if p.symbol == order.symbol]
        if not self.script and any(p.opened_ms < order.ticket for p in older):
            self.script.append(say(Verdict.OLDEST_FIRST, 10045, "FIFO"))
        return await super().send_close(order)

    def place(self, ticket: int, symbol: str, profit: float = 0.0) -> Position:
        position = replace(self.add(ticket, profit=profit), symbol=symbol)
        self.open[ticket] = position
        return position


def fifo_desk(desk: Desk) -> FifoBroker:
    desk.broker = broker = FifoBroker()
    desk.account = desk.life()
    return broker


def sent(broker: ScriptedBroker) -> list[int]:
    return [order.ticket for order in broker.sent]


async def test_the_rest_of_the_symbol_goes_oldest_first(desk: Desk) -> None:
    broker = fifo_desk(desk)
    for ticket, symbol in ((1, "EURUSD"), (2, "EURUSD"), (3, "EURUSD"), (4, "GOLD"), (5, "GOLD")):
        broker.place(ticket, symbol, profit=-float(ticket))
    done = (
        await close_now(
            desk.account, None, close_reason="t", key="k", initiator="t", clock=desk.clock
        )
    ).results
    assert broker.open == {}
    assert [(r.ticket, r.outcome) for r in done.results] == [
        (n, Outcome.DONE) for n in (5, 4, 3, 2, 1)
    ]
    assert sent(broker) == [5, 4, 5, 3, 1, 2, 3]


async def test_the_refused_request_is_part_of_the_evidence(desk: Desk) -> None:
    broker = fifo_desk(desk)
    broker.place(1, "EURUSD")
    broker.place(2, "EURUSD")
    ended = await desk.account.close_each([desk.request(2, "k"), desk.request(1, "k")])
    results = [r for r in ended if isinstance(r, CloseResult)]
    assert [(r.ticket, r.attempts) for r in results] == [(2, 2), (1, 1)]
    evidence = {e.position: e for _, e in desk.ledger.entries}
    assert [a.code for a in evidence["2"].attempts] == [10045, 10009]
    assert len(desk.ledger.entries) == 2


async def test_an_older_position_out_of_scope_is_named(desk: Desk) -> None:
    broker = fifo_desk(desk)
    broker.place(1, "EURUSD")
    broker.place(2, "EURUSD")
    result = await desk.close(2)
    assert result.outcome is Outcome.REJECTED
    assert "position 1 (ticket 1) of EURUSD is older" in (result.error_message or "")
    assert sent(broker) == [2]


async def test_an_older_position_that_cannot_be_closed_ends_it(desk: Desk) -> None:
    broker = fifo_desk(desk)
    broker.place(1, "EURUSD")
    broker.place(2, "EURUSD")
    broker.script.extend(
        [say(Verdict.OLDEST_FIRST, 10045, "FIFO"), say(Verdict.OPERATOR, 10017, "disabled")]
    )
    ended = await desk.account.close_each([desk.request(2, "k"), desk.request(1, "k")])
    results = [r for r in ended if isinstance(r, CloseResult)]
    assert [r.outcome for r in results] == [Outcome.REJECTED, Outcome.REJECTED]
    assert "position 1 (ticket 1)" in (results[0].error_message or "")
    assert sent(broker) == [2, 1, 2]


async def test_a_broker_that_refuses_the_oldest_is_not_asked_for_ever(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    desk.broker.script.extend([say(Verdict.OLDEST_FIRST, 10045, "FIFO")] * 50)
    ended = await desk.account.close_each([desk.request(t, "k") for t in (3, 2, 1)])
    results = [r for r in ended if isinstance(r, CloseResult)]
    assert [r.outcome for r in results] == [Outcome.REJECTED] * 3
    assert len(desk.broker.sent) <= 6


async def test_the_order_given_is_kept_where_nobody_minds(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    desk.broker.script.append(fill())
    await desk.account.close_each([desk.request(t, "k") for t in (3, 1, 2)])
    assert sent(desk.broker) == [3, 1, 2]
