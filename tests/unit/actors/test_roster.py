"""Accounts and their actors: lives, what they hold, shares. Actors and audit are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from actors.links import ActorLost, NotActivated
from actors.messages import CloseReply, DealsPage, Exposure, LifeSign, Term, WatchReply
from audit.chain import SealedRecord
from engine.errors import UnknownAccount
from engine.lease import LeaseLost
from tests.unit.actors.fake_accounts import Account, Bench, spec

pytestmark = pytest.mark.usefixtures("bounded")


async def lose(_: Term) -> None:
    raise ActorLost("the reply was lost")


async def test_an_actor_in_another_life_than_was_meant_is_asked_before_it_is_called_again(
    bench: Bench,
) -> None:
    await bench.arm("ann")

    async def refuse(term: Term) -> None:
        raise NotActivated(f"not in {term.incarnation}")

    with pytest.raises(ActorLost, match="not in 1"):
        await bench.call("ann", refuse)
    with pytest.raises(ActorLost, match="not ready"):
        await bench.term("ann")
    bench.stage.actors["ann"].sign = None  # its process was started anew
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1, 2]
    assert (await bench.term("ann")).incarnation == 2


async def test_a_life_that_may_not_send_any_more_is_lost(bench: Bench) -> None:
    await bench.arm("ann")

    async def refuse(_: Term) -> None:
        raise LeaseLost("the lease has run out")

    with pytest.raises(ActorLost, match="has run out"):
        await bench.call("ann", refuse)
    assert bench.roster["ann"].is_lost


async def test_a_loss_that_is_heard_of_late_does_not_touch_the_next_life(bench: Bench) -> None:
    await bench.arm("ann")
    go_on = asyncio.Event()

    async def late(_: Term) -> None:
        await go_on.wait()
        raise ActorLost("the process was killed")

    pending = asyncio.create_task(bench.call("ann", late))
    await asyncio.sleep(0)
    bench.roster["ann"].is_lost = True
    bench.stage.actors["ann"].sign = None
    await bench.roster.revive("ann")
    go_on.set()
    with pytest.raises(ActorLost):
        await pending
    assert (await bench.term("ann")).incarnation == 2


async def test_only_the_reply_was_lost_so_the_life_goes_on(bench: Bench) -> None:
    await bench.arm("ann")
    with pytest.raises(ActorLost):
        await bench.call("ann", lose)
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1]
    assert (await bench.term("ann")).incarnation == 1


async def test_a_life_with_another_configuration_is_replaced(bench: Bench) -> None:
    await bench.arm("ann")
    bench.another_life(most_attempts=3)
    bench.remember("ann")
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1, 2]


async def test_a_life_that_is_not_the_newest_is_replaced(bench: Bench) -> None:
    await bench.arm("ann")
    bench.another_life()
    bench.audit.newest["account:ann"] = 4  # begun by somebody, never heard of
    bench.remember("ann")
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1, 5]


async def test_the_next_supervisors_roster_adopts_what_lives(bench: Bench) -> None:
    await bench.arm("ann", "bob")
    bench.stage.actors["ann"].asks_at = 7.0
    sign = bench.stage.actors["ann"].sign
    assert sign is not None
    bench.stage.actors["ann"].sign = LifeSign(1, sign.config_hash, 7.0, "Server-1", sign.process)
    bench.another_life()
    bench.remember("ann", "bob")
    await asyncio.gather(*(bench.roster.revive("ann") for _ in range(5)))
    assert bench.stage.actors["ann"].lives == [1]
    assert await bench.term("ann") == Term(1, asked_at=7.0)


def holding(bench: Bench, *records: SealedRecord) -> Account:
    """Let ann's actor say with its life which records it holds."""
    actor = bench.stage.actors["ann"]
    assert actor.sign is not None
    actor.sign = replace(actor.sign, records=records)
    return actor


def held(stream: str = "account:ann:1") -> SealedRecord:
    return SealedRecord("closed", stream, 1, b"", b"", b"{}")


async def test_what_an_adopted_life_holds_is_handed_in_before_anything_is_asked_of_it(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    holding(bench, held())
    bench.another_life()
    bench.remember("ann")
    await bench.roster.revive("ann")
    await bench.outbox.drained()
    assert (await bench.term("ann")).acknowledged == 1


async def test_what_a_life_holds_is_inherited_by_the_one_that_replaces_it(bench: Bench) -> None:
    await bench.arm("ann")
    actor = holding(bench, held())
    bench.another_life(most_attempts=3)
    bench.remember("ann")
    await bench.roster.revive("ann")
    assert actor.lives == [1, 2]
    assert actor.activations[-1].inherited == (held(),)


async def answered(bench: Bench, answer: object) -> Term:
    """Let ann answer a call, and return what the next one tells it."""

    async def give(_: Term) -> object:
        return answer

    await bench.call("ann", give)
    return await bench.term("ann")


async def test_a_new_life_hears_of_what_it_inherited_until_it_holds_it_no_more(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    actor = bench.stage.actors["ann"]
    actor.sign, bench.roster["ann"].is_lost = None, True
    actor.holds = (held(),)  # and says so when it begins
    await bench.roster.revive("ann")
    await bench.outbox.drained()
    told = {"account:ann:1": 1}
    assert (await bench.term("ann")).inherited_acknowledged == told
    renewed = bench.roster.renew("ann", 2, 0.0)
    assert renewed is not None
    assert renewed.inherited_acknowledged == told
    for silent in (Exposure(0, 0, held=1), DealsPage(()), None):
        assert (await answered(bench, silent)).inherited_acknowledged == told
    before = await answered(bench, WatchReply(records=(held(), held("account:ann:2"))))
    assert before.inherited_acknowledged == told
    after = await answered(bench, WatchReply(records=(held("account:ann:2"),)))
    assert after.inherited_acknowledged == {}


async def test_an_answer_that_holds_nothing_says_so(bench: Bench) -> None:
    await bench.arm("ann")
    before = await answered(bench, CloseReply(b"", (held("account:ann:0"),)))
    assert before.inherited_acknowledged == {"account:ann:0": 0}
    assert (await answered(bench, CloseReply(b"", ()))).inherited_acknowledged == {}


async def test_a_life_that_others_have_followed_hands_in_nothing(bench: Bench) -> None:
    await bench.arm("ann")
    holding(bench, held())
    bench.another_life()
    bench.audit.newest["account:ann"] = 4
    bench.remember("ann")
    await bench.roster.revive("ann")
    await bench.outbox.drained()
    assert bench.outbox.on_disk("account:ann:1") == 0


async def test_an_account_is_adopted_though_no_more_records_are_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.arm("ann")
    holding(bench, held())
    bench.another_life()
    bench.remember("ann")
    monkeypatch.setattr("actors.outbox.MOST_HELD", 0)
    await bench.roster.revive("ann")
    assert (await bench.term("ann")).incarnation == 1
    assert bench.stage.actors["ann"].lives == [1]


async def test_an_account_cannot_be_added_twice_and_what_failed_is_not_added(bench: Bench) -> None:
    await bench.arm("ann")
    with pytest.raises(ValueError, match="user_id='ann'"):
        await bench.roster.arm([spec("bob"), spec("ann")])
    assert list(bench.roster) == ["ann"]

    async def fail() -> None:
        raise ActorLost("no node has room")

    bench.stage.actors["cem"] = Account("cem")
    bench.stage.actors["cem"].during_activation = fail
    with pytest.raises(ActorLost, match="no node"):
        await bench.roster.arm([spec("cem"), spec("dan")])
    assert list(bench.roster) == ["ann", "dan"]
    assert bench.stage.ended == ["cem"]
    assert set(bench.stage.specs) == {"ann", "dan"}
    with pytest.raises(UnknownAccount, match="'cem'"):
        await bench.term("cem")


def shares(bench: Bench, *user_ids: str) -> list[float]:
    """What each account may send by now, asked for in this order."""
    terms = [bench.roster.renew(user_id, 1, 0.0) for user_id in user_ids]
    return [term.orders_per_s or 0.0 for term in terms if term is not None]


async def test_a_servers_budget_is_divided_among_those_that_have_something_to_close() -> None:
    bench = Bench(orders_per_s=12.0)
    bench.stage.actors["far"] = Account("far")
    bench.stage.actors["far"].server = "Server-2"
    await bench.arm("ann", "bob", "cem", "far")
    assert (await bench.term("ann")).orders_per_s == 12.0, "the others are idle"
    for user_id in ("ann", "bob", "far"):
        bench.roster[user_id].due = 1
    assert shares(bench, "ann", "bob", "far") == [6.0, 6.0, 12.0]
    assert bench.roster["cem"].share == 0.0, "it takes no part of what it does not use"


async def test_what_others_hold_of_a_budget_is_not_given_out_twice() -> None:
    bench = Bench(orders_per_s=12.0)
    await bench.arm("ann", "bob", "cem")
    bench.roster["ann"].due = 1
    assert shares(bench, "ann") == [12.0]
    bench.roster["bob"].due = 1
    assert shares(bench, "bob") == [pytest.approx(0.01 * 6.0)], "until ann has renewed"
    assert shares(bench, "ann", "bob") == [6.0, 6.0]
    bench.roster["cem"].due = 1
    for _ in range(2):
        assert sum(shares(bench, "cem", "bob", "ann")) <= 12.0 * 1.01
    assert shares(bench, "ann", "bob", "cem") == [4.0, 4.0, 4.0]


async def test_without_a_budget_nobody_has_a_share(bench: Bench) -> None:
    await bench.arm("ann")
    assert (await bench.term("ann")).orders_per_s is None


async def test_a_call_tells_what_is_on_disk(bench: Bench) -> None:
    await bench.arm("ann")
    assert (await bench.term("ann")).acknowledged == 0
    await bench.outbox.append([SealedRecord("e", "account:ann:1", 3, b"", b"", b"")])
    assert (await bench.term("ann")).acknowledged == 3


def test_specs_are_remembered_in_order(bench: Bench) -> None:
    newest: Mapping[str, int] = {"account:ann": 3}
    bench.roster.remember([spec("bob"), spec("ann")], dict(newest))
    assert list(bench.roster) == ["bob", "ann"]
    assert (bench.roster["ann"].incarnation, bench.roster["bob"].incarnation) == (3, 0)
    assert bench.roster["ann"].is_lost


async def test_a_new_supervisor_knows_of_the_last_life_only(bench: Bench) -> None:
    """What the one before it may still hold, only the dead supervisor could tell."""
    await bench.arm("ann")
    actor, entry = bench.stage.actors["ann"], bench.roster["ann"]
    for number in (1, 2):
        actor.sign, entry.is_lost, entry.process = None, True, f"process-{number}"
        await bench.roster.revive("ann")
    assert len(actor.activations[-1].earlier_lives) == 2
    actor.sign = None
    bench.another_life()
    bench.remember("ann")
    await bench.roster.revive("ann")
    assert len(actor.activations[-1].earlier_lives) == 1
