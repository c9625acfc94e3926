"""Flat certificates of episodes that real parts have carried out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audit.certificate import Certificate, Verdict
from audit.certificate_page import certificate_page
from audit.errors import UnknownEpisode
from audit.queries import RecordQuery
from audit.records import AuditRecord, EventType
from engine.brokers.port import AccountState, Answer, CloseOrder, PendingOrder, Position, Side
from engine.mandates import DirectClose
from engine.models import GuardTrigger, GuardType, PositionRef
from engine.outcomes import Verdict as Said
from tests.integration.actors.conftest import Local
from tests.scripted_broker import ScriptedBroker, fill, say

NOW = 1_800_000_000_000_000


def trigger(user_id: str, trigger_id: str, *tickets: int) -> GuardTrigger:
    scope = tuple(PositionRef(str(ticket), ticket) for ticket in tickets) if tickets else None
    return GuardTrigger(
        user_id,
        GuardType.DRAWDOWN,
        "equity fell",
        positions=scope,
        trigger_id=trigger_id,
        inputs={"equity": 900.0, "peak": 1000.0},
    )


async def ended(local: Local, *triggers: GuardTrigger) -> None:
    await local.supervisor.reports(await local.supervisor.submit(triggers))


async def certificate(local: Local, trigger_id: str) -> Certificate:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.certificate, trigger_id, NOW)


async def records(local: Local, *kinds: EventType) -> list[AuditRecord]:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.records, RecordQuery(event_types=kinds))


class Diary(ScriptedBroker):
    """A broker that remembers which calls it got, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def account(self) -> AccountState:
        self.calls.append("account")
        return await super().account()

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        self.calls.append("positions" if ticket is None else "position")
        return await super().positions(ticket)

    async def send_close(self, order: CloseOrder) -> Answer:
        self.calls.append("send")
        return await super().send_close(order)


async def test_a_flat_account_is_certified_flat(local: Local) -> None:
    await local.add("ann")
    local.stage.broker("ann").pending[91] = PendingOrder(91, "EURUSD", Side.LONG, 1.0, 1.0)
    await ended(local, trigger("ann", "t1"))
    made = await certificate(local, "t1")
    assert (made.title, made.is_good, made.reasons, made.residuals) == ("FLAT", True, (), ())
    assert made.before is not None
    assert made.after is not None
    assert {p.ticket for p in made.before.sighting.positions} == {1, 2, 3}
    assert made.before.sighting.account == local.stage.broker("ann").account_state
    assert (made.after.open, made.after.sighting.positions) == (0, ())
    assert made.after.sighting.account is not None
    assert [close.result.success for close in made.closes] == [True] * 3
    assert {e.record.event_type for e in made.incidents} == {
        EventType.PENDING_CANCELLED,
        EventType.ACCOUNT_LOCKED,
    }
    times = made.timings
    assert times.first_order is not None
    assert times.flat is not None
    assert times.triggered <= times.accepted <= times.first_order < times.flat
    checked = {chain.stream for chain in made.verification.chains}
    assert checked == {"account:ann:1", "supervisor:1", "everything of account ann"}


async def test_its_json_holds_everything_and_is_json(local: Local) -> None:
    await local.add("ann", positions=1)
    await ended(local, trigger("ann", "t1"))
    data = json.loads((await certificate(local, "t1")).json())
    (close,) = data["closes"]
    assert (data["format"], data["verdict"], data["is_proven"]) == (1, "flat", True)
    assert close["attempts"][0]["code"] == 10009
    assert [deal["entry"] for deal in close["deals"]] == [0, 1]
    assert len({place["hash"] for place in data["records"]}) == len(data["records"]) == 6
    assert data["timings"]["to_flat_s"] > 0
    assert data["before"]["positions"][0]["ticket"] == 1


async def test_seeing_the_account_asks_nothing_before_the_first_order(local: Local) -> None:
    diary = local.stage.brokers["ann"] = Diary()
    await local.add("ann")
    sealed = len(await records(local))
    diary.calls.clear()
    await ended(local, trigger("ann", "t1"))
    first = diary.calls.index("send")
    # Twice for the order of closing, and before the pending orders; and one look for the close.
    assert diary.calls[:first] == [
        "account",
        *("account", "positions"),
        *("account", "positions"),
        *("account", "position"),
    ]
    assert diary.calls[-2:] == ["positions", "account"], "what is left is read last"
    assert len(await records(local)) > sealed


async def test_what_is_left_is_named_with_its_reason(local: Local) -> None:
    await local.add("ann")
    local.stage.broker("ann").script.extend(
        [say(Said.OPERATOR, 10019, "not enough money"), fill(), fill()]
    )
    await ended(local, trigger("ann", "t1"))
    made = await certificate(local, "t1")
    assert (made.title, made.is_good) == ("NOT FLAT", False)
    assert made.timings.flat is None
    (left,) = made.residuals
    assert left.volume == 1.0
    assert "10019 not enough money" in left.reason
    assert any("ended with 1 residual" in reason for reason in made.reasons)
    assert any("1 position open" in reason for reason in made.reasons)


async def test_a_position_that_appeared_in_between_is_no_secret(local: Local) -> None:
    await local.add("ann", positions=1)
    broker = local.stage.broker("ann")

    def fill_and_open(_: ScriptedBroker, order: CloseOrder) -> Answer:
        broker.add(77)
        return fill()(broker, order)

    broker.script.append(fill_and_open)
    await ended(local, trigger("ann", "t1"))
    made = await certificate(local, "t1")
    assert made.verdict is Verdict.NOT_FLAT
    assert [left.ticket for left in made.residuals] == [77]
    assert "opened in the meantime" in made.residuals[0].reason


async def test_named_positions_are_closed_but_the_account_is_not_called_flat(local: Local) -> None:
    await local.add("ann")
    await ended(local, trigger("ann", "t1", 1, 2))
    made = await certificate(local, "t1")
    assert (made.title, made.is_good, made.after) == ("CLOSED", True, None)
    assert len(made.closes) == 2


async def test_a_direct_close_has_a_certificate_too(local: Local) -> None:
    await local.add("ann")
    close = DirectClose("e1", "ann", "by hand", (PositionRef("1", 1),), key="1")
    await local.supervisor.close(close)
    made = await certificate(local, "e1")
    assert (made.title, made.initiator) == ("CLOSED", "operator")
    assert made.closes[0].evidence.volume_before == 1.0


async def test_answers_of_other_episodes_are_shown_as_theirs(local: Local) -> None:
    await local.add("ann", positions=1)
    await ended(local, trigger("ann", "t1", 1))
    await ended(local, trigger("ann", "t2", 1))
    made = await certificate(local, "t2")
    assert made.title == "CLOSED"
    assert [close.is_shared for close in made.closes] == [True]
    assert made.timings.first_order is None, "it has sent nothing itself"


async def test_without_a_last_read_nothing_is_called_flat(local: Local) -> None:
    diary = local.stage.brokers["ann"] = Diary()
    await local.add("ann", positions=1)

    def fill_then_silence(_: ScriptedBroker, order: CloseOrder) -> Answer:
        answer = fill()(diary, order)
        diary.unreadable = 10_000
        return answer

    local.another_life(deal_lag_s=0.05)
    diary.script.append(fill_then_silence)
    await ended(local, trigger("ann", "t1"))
    made = await certificate(local, "t1")
    assert made.verdict is Verdict.NOT_FLAT
    assert made.after is None
    assert any("no record shows that the account was read" in reason for reason in made.reasons)


async def test_an_open_episode_says_so(local: Local) -> None:
    await local.add("ann", positions=1)
    local.stage.broker("ann").script.extend([say(Said.MARKET_CLOSED, 10018)] * 100)
    (name,) = await local.supervisor.submit([trigger("ann", "t1")])
    while local.supervisor._episodes.waiting_positions("ann") != 1:
        await local.supervisor._clock.sleep(0.01)
    made = await certificate(local, name)
    assert made.title == "NOT FLAT"
    assert "still open" in made.reasons[0]
    assert "NOT FLAT" in certificate_page(made)


async def test_a_life_that_goes_on_shows_what_the_first_one_met(local: Local) -> None:
    await local.add("ann")
    local.stage.links["ann"].losses.append("close:reply")
    await ended(local, trigger("ann", "t1"))
    made = await certificate(local, "t1")
    assert made.title == "FLAT"
    assert made.before is not None
    assert made.before.open == 3


async def test_an_unknown_trigger_is_an_error_that_says_what_to_do(local: Local) -> None:
    await local.add("ann")
    with pytest.raises(UnknownEpisode, match=r"'nobody' names no episode.*audit search"):
        await certificate(local, "nobody")


async def test_a_refused_trigger_has_no_certificate(local: Local) -> None:
    await local.add("ann")
    stale = replace(
        trigger("ann", "old"), triggered_at=trigger("ann", "x").triggered_at.replace(year=2001)
    )
    with pytest.raises(Exception, match="old"):
        await local.supervisor.submit([stale])
    with pytest.raises(UnknownEpisode, match="'old' was refused"):
        await certificate(local, "old")


async def test_hostile_text_stays_text(local: Local) -> None:
    evil = "<script>alert(1)</script>\u202e\" onload='x'"
    broker = local.stage.broker("ann")
    await local.add("ann", positions=1)
    broker.open[1] = replace(broker.open[1], comment=evil, symbol="<b>EUR")
    broker.script.append(say(Said.OPERATOR, 1, evil))
    await ended(local, replace(trigger("ann", "t1"), reason=evil))
    page = certificate_page(await certificate(local, "t1"))
    assert "<script" not in page
    assert "<b>" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;\\u202e&#34; onload=&#39;x&#39;") >= 3


async def test_a_page_needs_no_network(local: Local) -> None:
    await local.add("ann")
    await ended(local, trigger("ann", "t1"))
    page = certificate_page(await certificate(local, "t1"))
    assert "http" not in page.replace("http-equiv", "")
    assert "src=" not in page.replace("default-src", "").replace("style-src", "")
    assert "<h1>FLAT</h1>" in page
