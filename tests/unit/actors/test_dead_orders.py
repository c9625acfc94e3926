"""What lives that died have closed, unrecorded, is taken up however late it is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.mandated import carry_out
from engine.brokers.port import Deal
from engine.closing import AccountCloser
from engine.errors import BrokerUnavailable
from engine.mandates import DirectClose, Mandate
from engine.models import GuardTrigger, GuardType, PositionRef, Severity
from engine.outcomes import Outcome
from tests.unit.closing.conftest import POLICY, Desk, Ledger, make_desk


def trigger(name: str, positions: tuple[PositionRef, ...] | None = None) -> GuardTrigger:
    return GuardTrigger("ann", GuardType.DRAWDOWN, "test", Severity.WARNING, positions, name)


class Lives:
    """Lives of one account one after another: what is not recorded is forgotten."""

    def __init__(self) -> None:
        self.desk: Desk = make_desk()
        self.broker, self.clock = self.desk.broker, self.desk.clock
        self.reads: list[float] = []
        self.hidden = 0
        between = self.broker.deals_between

        async def counted(since_ms: int, until_ms: int) -> tuple[Deal, ...]:
            self.reads.append(self.clock.seconds)
            deals = await between(since_ms, until_ms)
            return deals[: len(deals) - self.hidden]

        self.broker.deals_between = counted  # type: ignore[method-assign]
        for ticket in (1, 2, 3):
            self.broker.add(ticket)

    def next(self, *, died: bool = True, knows: Ledger | None = None) -> AccountCloser:
        """Begin a life after one that died, or the first."""
        life = self.desk.life(ledger=Ledger())
        if died:
            life.wait_for_predecessor()
        if knows is not None:
            life.remember(knows.answers)
        return life


async def told(lives: Lives, mandate: Mandate, life: AccountCloser) -> dict[int, Outcome]:
    done = await carry_out(mandate, life, lives.clock.wall_us(), lives.clock)
    return {result.ticket: result.outcome for result in done.results.results}


ALL_DONE = dict.fromkeys((1, 2, 3), Outcome.DONE)


@pytest.mark.parametrize("later_s", [0.0, 61.0, 299.0, 100_000.0])
async def test_a_trigger_that_died_unwritten_is_told_its_closes_however_late_it_comes_again(
    later_s: float,
) -> None:
    lives = Lives()
    assert await told(lives, trigger("t"), lives.next(died=False)) == ALL_DONE
    heir = lives.next()
    lives.clock.seconds += later_s
    assert await told(lives, trigger("t"), heir) == ALL_DONE
    assert len(lives.broker.sent) == 3


@pytest.mark.parametrize("key", ["k", None])
async def test_so_is_a_direct_close_of_all_whatever_its_episode(key: str | None) -> None:
    lives = Lives()
    first, again = (DirectClose(name, "ann", "test", None, key, is_bulk=True) for name in "ab")
    assert await told(lives, first, lives.next(died=False)) == ALL_DONE
    heir = lives.next()
    lives.clock.seconds += 100.0
    assert await told(lives, again, heir) == ALL_DONE


async def test_what_another_mandate_of_the_dead_closed_is_not_told() -> None:
    lives = Lives()
    await told(lives, trigger("t"), lives.next(died=False))
    heir = lives.next()
    lives.clock.seconds += 100.0
    assert await told(lives, trigger("another"), heir) == {}


async def test_all_deals_are_read_once_for_all_late_mandates() -> None:
    lives = Lives()
    await told(lives, trigger("t"), lives.next(died=False))
    heir = lives.next()
    lives.clock.seconds += 100.0
    for name in ("u", "v", "w", "t", "t"):
        await told(lives, trigger(name), heir)
    assert len(lives.reads) == 1


async def test_no_deal_is_read_where_nobody_died() -> None:
    lives = Lives()
    await told(lives, trigger("t"), lives.next(died=False))
    assert lives.reads == []


async def test_a_read_before_all_deals_show_is_not_the_last() -> None:
    lives = Lives()
    await told(lives, trigger("t"), lives.next(died=False))
    heir = lives.desk.life(ledger=Ledger())
    heir.wait_for_predecessor(90.0)
    lives.clock.seconds += 90.0 + POLICY.deal_lag_s / 2
    lives.hidden = 3
    assert await told(lives, trigger("u"), heir) == {}
    lives.hidden = 0
    assert await told(lives, trigger("t"), heir) == ALL_DONE
    assert len(lives.reads) == 2


async def test_what_is_on_record_is_no_dead_lifes() -> None:
    """A close without a key has each position's name for one: whatever was closed so would fit."""
    lives = Lives()
    ledger = Ledger()
    close = DirectClose("a", "ann", "test", None, is_bulk=True)
    await told(lives, close, lives.desk.life(ledger=ledger))
    heir = lives.next(knows=ledger)
    lives.clock.seconds += 100.0
    lives.broker.add(9)
    assert await told(lives, replace(close, episode_id="b"), heir) == {9: Outcome.DONE}


async def test_what_is_open_does_not_wait_for_deals_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lives = Lives()
    await told(lives, trigger("t"), lives.next(died=False))
    heir = lives.next()
    lives.clock.seconds += 100.0
    lives.broker.add(9)
    with monkeypatch.context() as broken:

        async def unreadable(since_ms: int, until_ms: int) -> object:
            raise BrokerUnavailable("no history")

        broken.setattr(lives.broker, "deals_between", unreadable)
        with pytest.raises(BrokerUnavailable, match="no history"):
            await told(lives, trigger("t"), heir)
        assert lives.broker.open == {}
    assert await told(lives, trigger("t"), heir) == {**ALL_DONE, 9: Outcome.DONE}
    assert len(lives.broker.sent) == 4
