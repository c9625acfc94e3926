"""Pending orders are cancelled until a read shows none; what stays is told with its reason."""

from __future__ import annotations

from random import Random

import pytest

from engine.brokers.port import Answer, PendingOrder, Side
from engine.lease import LeaseLost, NoLease
from engine.outcomes import Verdict
from engine.pace import Pace
from engine.patience import Patience
from engine.pending import PendingReport, cancel_pending
from tests.scripted_broker import ScriptedBroker
from tests.virtual_time import VirtualClock


def broker_with(*tickets: int) -> ScriptedBroker:
    broker = ScriptedBroker()
    for ticket in tickets:
        broker.pending[ticket] = PendingOrder(ticket, "EURUSD", Side.LONG, 0.1, 1.0)
    return broker


async def cancel(
    broker: ScriptedBroker, clock: VirtualClock | None = None, pace: Pace | None = None
) -> PendingReport:
    clock = clock or VirtualClock()
    patience = Patience(clock, Random(1), first_s=0.1, longest_s=1.0)
    return await cancel_pending(broker, NoLease(), patience, within_s=10.0, pace=pace)


async def test_none_is_no_request() -> None:
    broker = broker_with()
    assert await cancel(broker) == PendingReport()
    assert broker.cancels == []


async def test_all_are_cancelled() -> None:
    broker = broker_with(1, 2, 3)
    report = await cancel(broker)
    assert [order.ticket for order in report.cancelled] == [1, 2, 3]
    assert report.left == ()
    assert broker.cancels == [1, 2, 3]


@pytest.mark.parametrize(
    "verdict", [Verdict.UNKNOWN, Verdict.BACK_OFF, Verdict.MAYBE_MET, Verdict.DONE]
)
async def test_an_answer_is_no_proof(verdict: Verdict) -> None:
    """Only the next read is: even what was answered as done is asked for again."""
    broker = broker_with(1)
    broker.cancel_script.extend([Answer(verdict, 1, "said")] * 3)
    report = await cancel(broker)
    assert [order.ticket for order in report.cancelled] == [1]
    assert broker.cancels == [1] * 4


async def test_an_order_that_goes_by_itself_counts_as_gone() -> None:
    broker = broker_with(1)
    real = broker.cancel_order

    async def filled_first(ticket: int) -> Answer:
        broker.pending.clear()
        return await real(ticket)

    broker.cancel_order = filled_first  # type: ignore[method-assign]
    report = await cancel(broker)
    assert [order.ticket for order in report.cancelled] == [1]


async def test_what_only_a_person_can_change_is_asked_once() -> None:
    broker = broker_with(1, 2)
    broker.cancel_script.append(Answer(Verdict.OPERATOR, 10026, "autotrading disabled"))
    clock = VirtualClock()
    report = await cancel(broker, clock)
    assert [order.ticket for order in report.cancelled] == [2]
    ((order, why),) = report.left
    assert (order.ticket, why) == (1, "10026 autotrading disabled")
    assert broker.cancels == [1, 2]
    assert clock.seconds == 0


async def test_the_rounds_are_bounded() -> None:
    broker = broker_with(1)
    broker.cancel_script.extend([Answer(Verdict.BACK_OFF, 10024, "too many")] * 1000)
    clock = VirtualClock()
    report = await cancel(broker, clock)
    assert [(order.ticket, why) for order, why in report.left] == [(1, "10024 too many")]
    assert 10.0 <= clock.seconds < 12.0


async def test_a_broker_that_cannot_be_read_is_told() -> None:
    broker = broker_with(1)
    broker.unreadable = 10_000
    report = await cancel(broker)
    assert report.unread is not None
    assert "no answer" in report.unread
    broker.unreadable = 3
    assert (await cancel(broker)).unread is None
    assert broker.pending == {}


async def test_an_order_that_appears_meanwhile_is_cancelled_too() -> None:
    broker = broker_with(1)
    real = broker.cancel_order

    async def another_comes(ticket: int) -> Answer:
        if ticket == 1:
            broker.pending[2] = PendingOrder(2, "EURUSD", Side.SHORT, 0.1, 1.0)
        return await real(ticket)

    broker.cancel_order = another_comes  # type: ignore[method-assign]
    report = await cancel(broker)
    assert [order.ticket for order in report.cancelled] == [1, 2]


async def test_nothing_is_cancelled_without_a_permit() -> None:
    class Lost(NoLease):
        def check(self) -> None:
            raise LeaseLost("lost")

    broker = broker_with(1)
    patience = Patience(VirtualClock(), Random(1), first_s=0.1, longest_s=1.0)
    with pytest.raises(LeaseLost):
        await cancel_pending(broker, Lost(), patience, within_s=1.0)
    assert broker.cancels == []


async def test_cancellations_keep_pace() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    pace.set_share(2)
    await cancel(broker_with(1, 2, 3), clock, pace)
    assert clock.seconds == pytest.approx(1.0)
