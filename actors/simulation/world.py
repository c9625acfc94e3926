"""The simulated world: one engine's processes, its disk, its venues, and who kills what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from actors.messages import EpisodeState
from actors.simulation.account_actor import AccountActorLife, NetworkSide
from actors.simulation.acting import Acting
from actors.simulation.aimed_kills import AUDIT, SUPERVISOR, AimedKill, AimedKills, Mark
from actors.simulation.alarms import AlarmEar
from actors.simulation.audit_actor import AuditLife, Disk
from actors.simulation.board import Coverage, EpisodeBoard
from actors.simulation.clock import ProcessClock, TrueTime
from actors.simulation.fault_kinds import AUDIT_DEATHS, DISK_WINDOWS, Disturbance, terminal_kind
from actors.simulation.history import History
from actors.simulation.inboxes import SideBySide
from actors.simulation.memory_store import MemoryStore
from actors.simulation.network import Network
from actors.simulation.plan import Plan
from actors.simulation.portfolio import MARKETS, PlannedAccount, market
from actors.simulation.process import Process
from actors.simulation.stage import NetworkStage
from actors.simulation.timing import simulated_config
from actors.simulation.venue import VenueAccount
from actors.supervisor import Supervisor
from audit.errors import AuditError

VERSION = "simulated"
_AT_THE_BOUND = "records that nobody takes"
"""So an account says that it holds as many records as it may."""


class SupervisorLife(SideBySide):
    """One life of the supervisor."""

    def __init__(self, process: Process, clock: ProcessClock, world: World, number: int) -> None:
        """Start it; it takes up its work by itself."""
        supervisor = Supervisor(
            NetworkStage(world, process),
            world.config,
            VERSION,
            clock=clock,
            random=Random(f"supervisor/{world.plan.seed}/{number}"),
        )
        super().__init__(process, supervisor)
        process.run(supervisor.keep_starting())


class World:
    """Everything there is in one run; an :class:`actors.simulation.stage.Hosting`.

    Args:
        plan: what the run is to be.
        folder: an empty folder for the journal.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Make the world; nothing runs yet. To be called in the loop that it will run in."""
        seed = plan.seed
        self.plan = plan
        self.time = TrueTime(asyncio.get_running_loop())
        self.history = History(self.time)
        self.board = EpisodeBoard(self.history)
        self.coverage = Coverage()
        self.acting = Acting(self.met, self.board.states)
        # What a process is born with is counted and no event: it makes no moment a troubled one.
        self._inborn = Acting(self._counted, self.board.states)
        self.config = simulated_config(folder, observes=plan.observes, most_held=plan.most_held)
        self._ear = AlarmEar(self._alarmed, folder)
        self.disk = Disk(
            self.config.journal_path, MemoryStore(), self._disk_acted, Random(f"{seed}:disk-acts")
        )
        self.kills = AimedKills(self._present, self._strike, self._after)
        self.network = Network(
            Random(f"network/{seed}"),
            plan.storms,
            happened=self._message_fault,
            sent=self.kills.sent,
            arrived=self.kills.arrived,
        )
        self.specs: dict[str, object] = {}
        self.watched: list[str] = []
        self.processes: dict[str, Process] = {}
        self.clocks: dict[str, ProcessClock] = {}
        self.random = Random(f"world/{seed}")
        self.venues = {
            account.user_id: self._open_venue(account, number)
            for number, account in enumerate(plan.accounts)
        }
        self._audit: AuditLife | None = None
        self._supervisor: SupervisorLife | None = None
        self._accounts: dict[str, AccountActorLife] = {}
        self._starting: set[str] = set()
        self._counts: dict[str, int] = {}
        self._unprovable: set[str] = set()

    def _open_venue(self, account: PlannedAccount, number: int) -> VenueAccount:
        user_id = account.user_id
        return VenueAccount(
            user_id,
            market(self.plan.seed % MARKETS),
            account.settings(),
            time=self.time,
            random=Random(f"venue/{self.plan.seed}/{number}"),
            network=self.network,
            struck=lambda fault: self.met(terminal_kind(fault.kind), user_id),
            noted=self.history.note,
            seed=self.plan.seed * 1_000 + number,
            handed_over=lambda process: self.kills.reached(process, Mark.REQUEST),
        )

    # --- who is there -----------------------------------------------------------------------

    def account(self, user_id: str) -> AccountActorLife | None:
        """Return the present life of an account's actor."""
        return self._accounts.get(user_id)

    def audit(self) -> AuditLife | None:
        """Return the present life of the audit actor."""
        return self._audit

    def supervisor(self) -> SupervisorLife | None:
        """Return the present life of the supervisor."""
        return self._supervisor

    def is_proven_dead(self, process: str) -> bool:
        """Whether a process is proven to have ended: not if it is on a node that was lost."""
        known = self.processes.get(process)
        return known is not None and not known.is_alive and process not in self._unprovable

    # --- births -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the audit actor and the supervisor."""
        self._start_audit()
        self._start_supervisor()

    def _process(self, kind: str, name: str) -> tuple[Process, ProcessClock, int]:
        number = self._counts[name] = self._counts.get(name, 0) + 1
        process = Process(f"{name}/{number}")
        clock = ProcessClock(
            self.time,
            process,
            drift=self.random.uniform(-1e-4, 1e-4),
            origin_s=self.random.uniform(0.0, 1e4),
        )
        clock.skew_us = self.plan.skews_us.get(kind, 0)
        if clock.skew_us:
            self._inborn.begin(Disturbance.CLOCK_SKEW, process.name)
            clock.at_reading = lambda: self._skew_read(process.name, self._inborn)
        self.processes[process.name] = process
        self.clocks[process.name] = clock
        return process, clock, number

    def _start_audit(self) -> None:
        process, clock, _ = self._process("audit", "audit")
        try:
            self._audit = AuditLife(process, clock, self.disk, self.board)
        except AuditError as error:
            self.history.note("audit-cannot-start", error=type(error).__name__)
            process.kill()
            self.network.after(0.5, self._start_audit)
            return
        self.history.note("born", process=process.name)
        self.kills.reached(process, Mark.BIRTH)

    def _start_supervisor(self) -> None:
        process, clock, number = self._process("supervisor", "supervisor")
        self._supervisor = SupervisorLife(process, clock, self, number)
        self.history.note("born", process=process.name)
        self.kills.reached(process, Mark.BIRTH)

    def need_account(self, user_id: str) -> None:
        """Start an account's actor unless it is there or being started."""
        life = self._accounts.get(user_id)
        if user_id not in self._starting and (life is None or not life.process.is_alive):
            self._start_account(user_id)

    def _start_account(self, user_id: str) -> None:
        self._starting.discard(user_id)
        process, clock, _ = self._process("account", user_id)
        side = NetworkSide(
            user_id,
            process,
            self.network,
            supervisor=self.supervisor,
            audit=self.audit,
            is_dead=self.is_proven_dead,
        )
        self._accounts[user_id] = AccountActorLife(
            process,
            clock,
            self.venues[user_id],
            side,
            lambda user_id, episode: self.board.turn(user_id, episode, EpisodeState.CLOSING),
        )
        self.history.note("born", user_id, process=process.name)
        self.kills.reached(process, Mark.BIRTH)

    # --- deaths -----------------------------------------------------------------------------

    def kill_account(self, user_id: str) -> bool:
        """Kill an account's actor, which starts again soon; whether there was one to kill."""
        life = self._accounts.pop(user_id, None)
        if life is None or not life.process.is_alive:
            return False
        self.history.note("killed", user_id, process=life.process.name)
        life.process.kill()
        self._starting.add(user_id)
        self.network.after(self.random.uniform(0.05, 0.4), lambda: self._restart(user_id))
        return True

    def _restart(self, user_id: str) -> None:
        if user_id in self._starting:
            self._start_account(user_id)

    def watchdog_kills(self, user_id: str) -> None:
        """Kill an account's actor because the supervisor says so."""
        life = self._accounts.get(user_id)
        if life is not None and life.process.name in self.venues[user_id].hanging:
            self.met(Disturbance.HANG_ENDED, user_id)
        self.history.note("watchdog", user_id)
        self.kill_account(user_id)

    def end_account(self, user_id: str) -> None:
        """End an account's actor for good."""
        self._starting.discard(user_id)
        life = self._accounts.pop(user_id, None)
        if life is not None:
            life.process.kill()

    def lose_account(self, user_id: str, lasts_s: float, *, is_cut_off: bool) -> bool:
        """Let an account's process be taken for dead and replaced, while it lives on."""
        life = self._accounts.pop(user_id, None)
        if life is None or not life.process.is_alive:
            return False
        process = life.process
        self.history.note("lost", user_id, process=process.name, cut_off=is_cut_off)
        self._unprovable.add(process.name)
        process.is_cut_off = is_cut_off
        process.lose_contact()
        self._starting.add(user_id)
        self.network.after(self.random.uniform(0.2, 1.0), lambda: self._restart(user_id))
        self.network.after(lasts_s, process.kill)
        return True

    def kill_supervisor(self) -> bool:
        """Kill the supervisor, which starts again soon."""
        life, self._supervisor = self._supervisor, None
        if life is None:
            return False
        self.history.note("killed", process=life.process.name)
        life.process.kill()
        self.network.after(self.random.uniform(0.1, 0.8), self._start_supervisor)
        return True

    def kill_audit(self, *, tail_lost: bool) -> bool:
        """Kill the audit actor, which starts again soon."""
        life, self._audit = self._audit, None
        if life is None:
            return False
        self.history.note("killed", process=life.process.name, tail_lost=tail_lost)
        life.crash(tail_lost=tail_lost)
        self.network.after(self.random.uniform(0.1, 0.8), self._start_audit)
        return True

    def _present(self, victim: str) -> Process | None:
        life: AuditLife | SupervisorLife | AccountActorLife | None
        if victim == AUDIT:
            life = self._audit
        elif victim == SUPERVISOR:
            life = self._supervisor
        else:
            life = self._accounts.get(victim)
        return None if life is None else life.process

    def _strike(self, kill: AimedKill) -> None:
        if kill.victim == AUDIT:
            self.kill_audit(tail_lost=False)
        elif kill.victim == SUPERVISOR:
            self.kill_supervisor()
        else:
            self.kill_account(kill.victim)
        self.met(kill.kind, kill.victim if kill.victim in self.venues else "")

    def _after(self, seconds: float, callback: Callable[[], object]) -> None:
        self.network.after(seconds, callback)

    def kill_engine(self) -> bool:
        """Kill every process at once."""
        killed = [self.kill_supervisor(), self.kill_audit(tail_lost=False)]
        killed += [self.kill_account(user_id) for user_id in list(self._accounts)]
        return any(killed)

    def close(self) -> None:
        """Let go of the files."""
        self._ear.stop()
        for process in self.processes.values():
            if self._audit is None or process is not self._audit.process:
                process.kill()
        if self._audit is not None:
            self._audit.process.kill()
            self._audit.ledger.close()

    # --- what is told -----------------------------------------------------------------------

    def met(self, kind: str, user_id: str) -> None:
        """Note that a fault has happened, and count the episodes that it met."""
        self.history.note("fault", user_id, what=str(kind))
        self._counted(kind, user_id)

    def _counted(self, kind: str, user_id: str) -> None:
        self.coverage.met(str(kind), self.board.states(user_id))

    def _alarmed(self, process: str, text: str) -> None:
        name = process.rpartition("/")[0]
        self.history.note("alarm", name if name in self.venues else "", process=process, text=text)
        if _AT_THE_BOUND in text:
            self.met(Disturbance.RECORDS_AT_BOUND, name)

    def _disk_acted(self, kind: Disturbance, users: Iterable[str]) -> None:
        if kind in AUDIT_DEATHS:
            self.kill_audit(tail_lost=False)
        if kind in DISK_WINDOWS:
            self.acting.acted(kind, users)
            return
        for user_id in users:
            self.met(kind, user_id)

    def skew(self, process: str, skew_us: int) -> None:
        """Set a process's wall clock off by so much; it is counted where it is read."""
        clock = self.clocks[process]
        clock.skew_us = skew_us
        clock.at_reading = lambda: self._skew_read(process, self.acting)
        self.acting.begin(Disturbance.CLOCK_SKEW, process)
        self.history.note("skew", process=process)

    def _skew_read(self, process: str, acting: Acting) -> None:
        name = process.rpartition("/")[0]
        users: Iterable[str] = (name,) if name in self.venues else self.venues
        if name == AUDIT:
            audit = self._audit
            users = audit.dating if audit and audit.process.name == process else ()
        acting.acted(Disturbance.CLOCK_SKEW, users, process, needs_open=True)

    def _message_fault(self, kind: Disturbance, user_id: str) -> None:
        self.met(kind, user_id)

    def later(self, at_s: float, callback: Callable[[], object]) -> None:
        """Do something at a moment, counted from the beginning."""
        self.network.after(max(0.0, at_s - self.time.seconds()), callback)
