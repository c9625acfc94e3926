"""One seed: the world is made, lives, comes to rest, and is looked at."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from actors.links import ActorLost
from actors.messages import EngineStatus
from actors.simulation.alarms import silence
from actors.simulation.clients import Clients
from actors.simulation.gathering import gather_facts
from actors.simulation.history import History
from actors.simulation.injecting import Injector
from actors.simulation.invariants import Violation, violations_of
from actors.simulation.loop import Deadlock, run_in_virtual_time
from actors.simulation.plan import FAULTS_END_S, Plan, make_plan
from actors.simulation.told import history_of
from actors.simulation.world import World
from audit.history import History as ToldHistory
from engine.brokers.account_spec import AccountSpec
from engine.errors import RiskEngineError

QUIET_WITHIN_S = 240.0
"""So long after the last fault the engine must have finished all it was given."""
REST_S = 12.0
"""Looked at once more after this long at rest: flat must stay flat."""

MOST_EXCERPTS = 3
MOST_LINES = 30
"""Of a traceback, where a run breaks off."""

_MEMORY = Path("/dev/shm")  # only where it is one; a folder of our own is made in it


@dataclass(slots=True)
class SeedOutcome:
    """What one seed has shown."""

    seed: int
    virtual_s: float
    violations: list[Violation]
    table: dict[str, dict[str, int]]
    history: History | None = None
    """Every event, if it was to be kept."""
    told: ToldHistory | None = None
    """What clients were told and the venues' books, for the history checker; kept likewise."""
    excerpts: list[list[str]] = field(default_factory=list)
    """For each of the first violations, the last events of the account concerned."""


def temporary_root() -> Path | None:
    """Return where folders of runs are best made; ``None``: where temporary folders go anyhow."""
    return _MEMORY if _MEMORY.is_dir() else None


def run_seed(
    seed: int,
    *,
    accounts: int = 5,
    positions: int = 5,
    keep_history: bool = False,
    within: Path | None = None,
) -> SeedOutcome:
    """Run one scenario and judge it.

    Args:
        seed: decides everything.
        accounts: how many there are.
        positions: how many each has at first.
        keep_history: whether the outcome holds the whole history.
        within: the folder in which it makes its own, which it removes; chosen well if ``None``.
    """
    plan = make_plan(seed, accounts, positions)
    return run_plan(plan, keep_history=keep_history, within=within)


def run_plan(plan: Plan, *, keep_history: bool = False, within: Path | None = None) -> SeedOutcome:
    """Run a scenario and judge it; see :func:`run_seed`."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-", dir=within or temporary_root()))
    try:
        with silence():
            return run_in_virtual_time(_run(plan, folder, keep_history))
    except Exception as error:  # noqa: BLE001  # a run that breaks off is a finding like another
        said = traceback.format_exc().splitlines()
        broken = Violation("runs to its end", f"{type(error).__name__}: {error}")
        return SeedOutcome(plan.seed, 0.0, [broken], {}, excerpts=[said[-MOST_LINES:]])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: Plan, folder: Path, keep_history: bool) -> SeedOutcome:
    world = World(plan, folder)
    clients = Clients(world)
    clients.open_portfolios()
    quiet_us: int | None = None
    try:
        world.start()
        Injector(world).schedule()
        await add_accounts(world, clients)
        clients.schedule()
        await asyncio.sleep(max(0.0, FAULTS_END_S - world.time.seconds()))
        quiet_us = await come_to_rest(world, clients, FAULTS_END_S + QUIET_WITHIN_S)
        await asyncio.sleep(REST_S)
        run = await gather_facts(world, clients, quiet_us)
    finally:
        world.close()
    violations = violations_of(run)
    excerpts = [
        world.history.excerpt(violation.user_id, up_to_us=violation.at_us)
        for violation in violations[:MOST_EXCERPTS]
    ]
    for violation in violations:
        world.history.note("violation", violation.user_id, text=str(violation))
    return SeedOutcome(
        seed=plan.seed,
        virtual_s=world.time.seconds(),
        violations=violations,
        table=world.coverage.table(),
        history=world.history if keep_history else None,
        told=history_of(run) if keep_history else None,
        excerpts=excerpts,
    )


async def add_accounts(world: World, clients: Clients) -> None:
    """Add every account of the plan, as often as it takes."""
    specs = [
        AccountSpec(
            user_id=account.user_id,
            broker="simulation:terminal",
            allow_live=account.allow_live,
        )
        for account in world.plan.accounts
    ]
    for spec in specs:
        while True:
            try:
                await clients.ask("add_accounts", (spec,))
            except (ActorLost, RiskEngineError) as error:
                world.history.note("not-added", spec.user_id, why=type(error).__name__)
            except ValueError:
                break  # an answer was lost: it is there
            else:
                break
            await asyncio.sleep(0.3)


async def come_to_rest(world: World, clients: Clients, end_s: float) -> int | None:
    """Wait until nothing is left to do; µs at which that was so, ``None`` if it never was."""
    while world.time.seconds() < end_s:
        await asyncio.sleep(1.0)
        if not clients.are_done:
            continue
        try:
            status = await clients.ask("status")
        except (ActorLost, RiskEngineError):
            continue
        assert isinstance(status, EngineStatus)
        if not status.episodes_open and _locked_are_flat(world, status):
            return round(world.time.seconds() * 1e6)
    return None


def _locked_are_flat(world: World, status: EngineStatus) -> bool:
    if world.plan.observes:
        return True
    sendable = {a.user_id for a in world.plan.accounts if a.may_be_sent_to}
    for account in status.accounts:
        if account.locked_by is None or account.user_id not in sendable:
            continue
        venue = world.venues[account.user_id]
        venue.catch_up()
        if venue.terminal.book.positions or venue.terminal.book.pending:
            return False
    return True


__all__ = ["Deadlock", "SeedOutcome", "run_plan", "run_seed", "temporary_root"]
