"""Leases: to whom the roster grants them, and how long those of earlier lives may still run.

Actors and audit are fakes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.links import ActorLost
from actors.messages import Exposure, Term
from tests.unit.actors.fake_accounts import LEASE_S, Bench

pytestmark = pytest.mark.usefixtures("bounded")


async def test_the_lease_is_renewed_for_the_newest_life_only(bench: Bench) -> None:
    await bench.arm("ann")
    assert bench.roster.renew("ann", 1, 5.0) == Term(1, asked_at=5.0)
    assert bench.roster.renew("ann", 1, 4.0) == Term(1, asked_at=5.0), "the newest asking counts"
    assert bench.roster.renew("ann", 0, 9.0) is None
    assert bench.roster.renew("ann", 2, 9.0) is None
    assert bench.roster.renew("ghost", 1, 9.0) is None
    assert (await bench.term("ann")).asked_at == 5.0


async def test_a_life_is_not_renewed_while_its_successor_is_being_activated(bench: Bench) -> None:
    await bench.arm("ann")
    actor = bench.stage.actors["ann"]
    renewed: list[Term | None] = []

    async def old_life_asks() -> None:
        renewed.append(bench.roster.renew("ann", 1, 100.0))

    actor.during_activation = old_life_asks
    actor.sign = None
    bench.roster["ann"].is_lost = True
    await bench.roster.revive("ann")
    assert renewed == [None]
    assert actor.lives == [1, 2]
    assert (await bench.term("ann")).asked_at == 0.0, "by the new life's clock"


async def test_a_successor_is_told_how_long_the_life_before_may_hold_its_lease(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    actor = bench.stage.actors["ann"]
    bench.virtual.seconds = 100.0
    bench.roster.renew("ann", 1, 100.0)
    bench.virtual.seconds = 108.0
    actor.sign = None
    bench.roster["ann"].is_lost = True
    await bench.roster.revive("ann")
    assert actor.activations[-1].earlier_lives[-1][1] == LEASE_S - 8.0
    bench.virtual.seconds = 200.0
    bench.roster["ann"].is_lost, actor.sign = True, None
    await bench.roster.revive("ann")
    assert actor.activations[-1].earlier_lives[-1][1] == 0.0


async def test_an_answered_call_prolongs_the_lease_as_a_renewal_does(bench: Bench) -> None:
    await bench.arm("ann")
    bench.virtual.seconds = 50.0

    async def answer(_: Term) -> Exposure:
        return Exposure(0, 0, asked_at=49.0)

    await bench.call("ann", answer)
    assert (await bench.term("ann")).asked_at == 49.0
    assert bench.roster["ann"].lease_end == 50.0 + LEASE_S


async def test_what_a_supervisor_before_granted_is_bounded_and_not_known(bench: Bench) -> None:
    await bench.arm("ann")
    bench.stage.actors["ann"].sign = None
    bench.virtual.seconds = 1_000.0
    bench.another_life()
    bench.remember("ann")
    bench.virtual.seconds = 1_005.0
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].activations[-1].earlier_lives[-1][1] == LEASE_S - 5.0


async def test_an_account_of_an_engine_before_may_hold_a_lease(bench: Bench) -> None:
    await bench.arm("ann")
    assert bench.stage.actors["ann"].activations[0].earlier_lives[-1][1] == LEASE_S


async def test_a_lease_of_the_life_before_last_is_still_told(bench: Bench) -> None:
    await bench.arm("ann")
    actor, entry = bench.stage.actors["ann"], bench.roster["ann"]
    for number in (1, 2):
        actor.sign, entry.is_lost, entry.process = None, True, f"process-{number}"
        bench.virtual.seconds += 1.0
        await bench.roster.revive("ann")
    lives = actor.activations[-1].earlier_lives
    assert [process for process, _ in lives] == ["process-1", "process-2"]
    assert lives[0][1] > 0


def outlive(bench: Bench, process: str | None = None) -> None:
    """Let ann's process be lost, and the journal know where its life was."""
    actor, entry = bench.stage.actors["ann"], bench.roster["ann"]
    actor.sign, entry.is_lost = None, True
    if process is not None:
        bench.audit.processes["account:ann"] = process


async def lose_the_reply_of_its_activation(bench: Bench) -> None:
    """Let life 1 go out of reach at 100 s, and the reply of life 2's activation be lost."""
    await bench.arm("ann")
    bench.virtual.seconds = 100.0
    bench.roster.renew("ann", 1, 100.0)
    bench.virtual.seconds = 101.0
    outlive(bench, "process-ann-1")
    actor = bench.stage.actors["ann"]
    actor.loses_reply = True
    with pytest.raises(ActorLost, match="reply"):
        await bench.roster.revive("ann")
    actor.loses_reply = False


async def test_a_life_before_one_that_was_adopted_is_told_to_the_next(bench: Bench) -> None:
    await lose_the_reply_of_its_activation(bench)
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1, 2], "found alive"
    bench.virtual.seconds = 103.0
    outlive(bench, "process-ann-2")
    await bench.roster.revive("ann")
    lives = dict(bench.stage.actors["ann"].activations[-1].earlier_lives)
    assert lives["process-ann-1"] == LEASE_S - 3.0
    assert lives["process-ann-2"] >= LEASE_S - 3.0


async def test_a_life_before_one_that_was_never_heard_of_is_told_to_the_next(
    bench: Bench,
) -> None:
    await lose_the_reply_of_its_activation(bench)
    outlive(bench, "process-ann-2")
    await bench.roster.revive("ann")
    *older, last = bench.stage.actors["ann"].activations[-1].earlier_lives
    assert older == [("process-ann-1", LEASE_S - 1.0)]
    assert last == ("process-ann-2", LEASE_S - 1.0)


async def test_an_earlier_lease_is_not_prolonged_by_its_successors_renewal(bench: Bench) -> None:
    """Which may arrive before the reply of its activation does, or without it."""
    await lose_the_reply_of_its_activation(bench)
    bench.virtual.seconds = 110.0
    assert bench.roster.renew("ann", 2, 110.0) is not None
    outlive(bench, "process-ann-2")
    await bench.roster.revive("ann")
    assert dict(bench.stage.actors["ann"].activations[-1].earlier_lives) == {
        "process-ann-1": LEASE_S - 10.0,
        "process-ann-2": LEASE_S,
    }


async def test_the_life_that_a_new_supervisor_opened_over_is_told_to_the_next(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    bench.another_life()
    bench.virtual.seconds = 100.0
    bench.remember("ann")
    for number in (1, 2):
        bench.virtual.seconds += 1.0
        outlive(bench, f"process-ann-{number}")
        await bench.roster.revive("ann")
    lives = dict(bench.stage.actors["ann"].activations[-1].earlier_lives)
    assert lives["process-ann-1"] == LEASE_S - 2.0


async def test_what_came_before_a_life_that_a_new_supervisor_adopted_is_in_a_place_unknown(
    bench: Bench,
) -> None:
    await lose_the_reply_of_its_activation(bench)
    bench.another_life()
    bench.remember("ann")
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].lives == [1, 2]
    bench.virtual.seconds = 105.0
    outlive(bench, "process-ann-2")
    await bench.roster.revive("ann")
    lives = dict(bench.stage.actors["ann"].activations[-1].earlier_lives)
    assert lives[""] == LEASE_S - 4.0, "bounded from when it was remembered"


async def test_a_life_that_a_doubled_call_began_elsewhere_as_well_is_not_forgotten(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    actor = bench.stage.actors["ann"]
    assert actor.sign is not None
    actor.sign = replace(actor.sign, process="elsewhere")
    bench.roster["ann"].is_lost = True
    await bench.roster.revive("ann")
    outlive(bench, "elsewhere")
    await bench.roster.revive("ann")
    lives = actor.activations[-1].earlier_lives
    assert [process for process, _ in lives] == ["process-ann-1", "elsewhere"]


async def test_lives_in_one_process_are_told_once_with_the_later_end(bench: Bench) -> None:
    await bench.arm("ann")
    actor = bench.stage.actors["ann"]
    actor.process = "one"
    for _ in range(3):
        outlive(bench, "one")
        bench.virtual.seconds += 1.0
        await bench.roster.revive("ann")
    assert actor.activations[-1].earlier_lives == (
        ("process-ann-1", LEASE_S - 3.0),
        ("one", LEASE_S - 1.0),
    )


async def test_a_life_that_ended_cleanly_is_not_told_to_any_but_its_successor(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    assert bench.roster["ann"].earlier == {}, "there was none"
    bench.audit.ended_cleanly = True
    outlive(bench, "process-ann-1")
    await bench.roster.revive("ann")
    assert bench.stage.actors["ann"].activations[-1].earlier_lives[-1][0] == "process-ann-1"
    assert bench.roster["ann"].earlier == {}


async def test_a_lease_that_is_over_is_forgotten(bench: Bench) -> None:
    await bench.arm("ann")
    for _ in range(3):
        bench.virtual.seconds += LEASE_S
        outlive(bench)
        await bench.roster.revive("ann")
    lives = bench.stage.actors["ann"].activations[-1].earlier_lives
    assert [process for process, _ in lives] == ["process-ann-3"]


async def test_a_life_out_of_reach_is_told_though_its_account_was_let_go_meanwhile(
    bench: Bench,
) -> None:
    await bench.arm("ann")
    bench.virtual.seconds = 100.0
    bench.roster.renew("ann", 1, 100.0)
    outlive(bench, "process-ann-1")
    await bench.roster.revive("ann")
    bench.virtual.seconds = 101.0
    await bench.roster.release("ann")
    await bench.arm("ann")
    lives = dict(bench.stage.actors["ann"].activations[-1].earlier_lives)
    assert lives["process-ann-1"] == LEASE_S - 1.0
    bench.virtual.seconds = 500.0
    await bench.roster.release("ann")
    assert not bench.roster._let_go, "what is over is forgotten"
