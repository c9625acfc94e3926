"""Makes the planned faults happen, and ends them."""

from __future__ import annotations

from functools import partial
from random import Random

from actors.simulation.audit_actor import COMMIT_S
from actors.simulation.clock import EPOCH_US
from actors.simulation.fault_kinds import AUDIT_DEATHS, Disturbance
from actors.simulation.fault_plan import PlannedFault
from actors.simulation.plan import FAULTS_END_S
from actors.simulation.world import World

_SLOW_COMMIT_S = 0.6
_SLOW_STORE_S = 1.5
_FAILING = 0.6
"""Share of the commits that fail while the journal's disk does."""


class Injector:
    """Schedules every fault of a plan in its world."""

    def __init__(self, world: World) -> None:
        """Prepare; see :meth:`schedule`."""
        self._world = world
        self._random = Random(f"injector/{world.plan.seed}")
        self._lasting: dict[Disturbance, int] = {}

    def schedule(self) -> None:
        """Set a timer for each fault, and one for the end of all."""
        for fault in self._world.plan.faults:
            self._world.later(fault.at_s, partial(self.happen, fault))
        self._world.later(FAULTS_END_S, self.calm)

    def happen(self, fault: PlannedFault) -> None:
        """Let a fault happen now."""
        world = self._world
        if fault.terminal is not None:
            world.venues[fault.user_id].faults.arm(fault.terminal)
            if fault.terminal.until_ms is not None:
                until_us = fault.terminal.until_ms * 1_000 - EPOCH_US
                world.history.note("market closed", fault.user_id, until_us=until_us)
            return
        if fault.aim is not None:
            world.kills.arm(fault.aim)
            return
        assert isinstance(fault.kind, Disturbance)
        kind = fault.kind
        happened = True
        if kind is Disturbance.KILL_ACCOUNT:
            happened = world.kill_account(fault.user_id)
        elif kind is Disturbance.KILL_SUPERVISOR:
            happened = world.kill_supervisor()
        elif kind is Disturbance.KILL_AUDIT:
            happened = world.kill_audit(tail_lost=False)
        elif kind is Disturbance.KILL_ENGINE:
            happened = world.kill_engine()
        elif kind is Disturbance.STORE_TAIL_LOST:
            world.kill_audit(tail_lost=True)
            happened = False  # it is counted if there was a tail
        elif kind is Disturbance.STORE_DAMAGED:
            world.disk.store.is_damaged = True
            world.kill_audit(tail_lost=False)
            happened = False  # it is counted where the store is opened
        elif kind is Disturbance.ZOMBIE:
            cut_off = self._random.random() < 0.5
            happened = world.lose_account(fault.user_id, fault.lasts_s, is_cut_off=cut_off)
        elif kind is Disturbance.CLOCK_SKEW:
            self._skew()
            happened = False  # it is counted where the clock is read
        elif kind in AUDIT_DEATHS:
            world.disk.deaths.append((kind, fault.commits))
            happened = False  # it is counted where it strikes
        else:
            self._begin(kind, fault.lasts_s)
            happened = False  # it is counted where it acts
        if happened:
            world.met(kind, fault.user_id)

    def _skew(self) -> None:
        living = [name for name, p in self._world.processes.items() if p.is_alive]
        if living:
            name = self._random.choice(living)
            self._world.skew(name, self._random.randrange(-2_000_000, 2_000_000))

    def _begin(self, kind: Disturbance, lasts_s: float) -> None:
        if not self._lasting.get(kind):
            self._world.acting.begin(kind)
        self._lasting[kind] = self._lasting.get(kind, 0) + 1
        self._set(kind, True)
        self._world.network.after(lasts_s, lambda: self._end(kind))

    def _end(self, kind: Disturbance) -> None:
        self._lasting[kind] -= 1
        if not self._lasting[kind]:
            self._set(kind, False)

    def _set(self, kind: Disturbance, is_on: bool) -> None:
        disk = self._world.disk
        if kind is Disturbance.JOURNAL_SLOW:
            disk.commit_s = _SLOW_COMMIT_S if is_on else COMMIT_S
        elif kind is Disturbance.JOURNAL_FULL:
            disk.is_full = is_on
        elif kind is Disturbance.JOURNAL_FAILING:
            disk.failing = _FAILING if is_on else 0.0
        elif kind is Disturbance.STORE_SLOW:
            disk.store_s = _SLOW_STORE_S if is_on else 0.0
        elif kind is Disturbance.STORE_AWAY:
            disk.store.is_away = is_on
        elif kind is Disturbance.STORE_FULL:
            disk.store.is_full = is_on
        self._world.history.note("disk", what=kind.value, on=is_on)

    def calm(self) -> None:
        """End everything that lasts; nothing that is armed strikes any more."""
        self._world.kills.calm()
        self._world.disk.deaths.clear()
        for kind in list(self._lasting):
            self._set(kind, False)
        for venue in self._world.venues.values():
            venue.faults.calm()
        self._world.history.note("calm")
