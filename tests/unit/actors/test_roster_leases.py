"""Leases: to whom the roster grants them, and how long those of earlier lives may still run.

Actors and audit are fakes.
"""

from __future__ import annotations

import pytest

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
