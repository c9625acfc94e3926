"""The state machine: whatever people do and whatever breaks, in whatever order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from actors.simulation.aimed_kills import AUDIT, SUPERVISOR, AimedKill, Mark
from actors.simulation.facts import AccountSeen, Run
from actors.simulation.fault_kinds import AUDIT_DEATHS, Disturbance
from actors.simulation.fault_plan import PlannedFault, terminal_fault
from actors.simulation.invariants import CHECKS
from actors.simulation.invariants.exactly_once import no_double_close, read_before_sending
from actors.simulation.invariants.idempotent import (
    conflicts_raised,
    identical_results,
    one_final_record,
    one_full_success,
    results_on_disk,
)
from actors.simulation.invariants.nothing_lost import residual_has_reason
from actors.simulation.invariants.serial import no_resend_while_it_may_act, serial
from actors.simulation.invariants.trustworthy import sends_only_where_allowed
from actors.simulation.invariants.violation import Check
from actors.simulation.network import Storm
from actors.simulation.plan import Act, ActKind, Plan
from actors.simulation.portfolio import PlannedAccount
from audit.records import EventType
from engine.models import Severity
from engine.simulated.faults import Fault, FaultKind
from tests.simulation.machine.accounts import PLACES, USERS, accounts, storms
from tests.simulation.machine.model import Model
from tests.simulation.machine.staged_engine import StagedEngine

users = st.sampled_from(USERS)
places = st.integers(0, PLACES - 1)
scopes = st.none() | st.sets(places, max_size=PLACES).map(lambda chosen: tuple(sorted(chosen)))
severities = st.sampled_from([Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING])
shares = st.sampled_from([0.0, 0.2, 0.5, 0.8, 0.99])
patience = st.sampled_from([0.0, 0.01, 0.1, 1.0, 15.0])
"""Seconds that the story waits for an answer; whoever has asked waits on."""
instants = st.sampled_from([0.01, 0.1, 0.5, 2.0, 5.0, 12.0])
_ORDERS_AND_READS = ("order_send", "positions_get", "history_deals_get", "account_info")
_DISKS = (
    Disturbance.JOURNAL_SLOW,
    Disturbance.JOURNAL_FULL,
    Disturbance.JOURNAL_FAILING,
    Disturbance.STORE_SLOW,
    Disturbance.STORE_AWAY,
    Disturbance.STORE_FULL,
)
_AUDIT_DEATHS = (
    Disturbance.KILL_AUDIT,
    Disturbance.STORE_TAIL_LOST,
    Disturbance.STORE_DAMAGED,
    *AUDIT_DEATHS,
)
_AT_STEP = {
    AUDIT: Disturbance.KILL_AUDIT_AT_STEP,
    SUPERVISOR: Disturbance.KILL_SUPERVISOR_AT_STEP,
}
_MENU = tuple(
    kind
    for kind in FaultKind
    if kind not in (FaultKind.HANG, FaultKind.HANG_AFTER_EXECUTION, FaultKind.RESTART)
)
AT_ANY_MOMENT: tuple[Check, ...] = (
    serial,
    no_resend_while_it_may_act,
    read_before_sending,
    no_double_close,
    one_final_record,
    one_full_success,
    identical_results,
    conflicts_raised,
    results_on_disk,
    residual_has_reason,
    sends_only_where_allowed,
)
"""The promises that can be seen to be kept at any moment; the others only when all is quiet."""


class EngineMachine(RuleBasedStateMachine):
    """The whole engine, two accounts, a model, and every promise as a check of its own."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        """Begin before the engine is there; see :meth:`begin`."""
        super().__init__()
        self.model = Model()
        self._acts: dict[int, Act] = {}
        self._facts: Run | None = None
        self._engine: StagedEngine | None = None
        self._acts_done = 0
        self._other_answers: list[str] = []

    @property
    def engine(self) -> StagedEngine:
        assert self._engine is not None
        return self._engine

    @initialize(
        planned=accounts(),
        weather=storms(),
        observes=st.integers(0, 19).map(lambda n: n == 19),
        seed=st.integers(0, 3),
    )
    def begin(
        self,
        planned: tuple[PlannedAccount, ...],
        weather: tuple[Storm, ...],
        observes: bool,
        seed: int,
    ) -> None:
        plan = Plan(seed, planned, acts=(), faults=(), storms=weather, observes=observes)
        self._engine = StagedEngine(plan)

    # --- what people do ---------------------------------------------------------------------

    @rule(target=calls, user=users, scope=scopes, severity=severities, waits=patience)
    def submit(
        self, user: str, scope: tuple[int, ...] | None, severity: Severity, waits: float
    ) -> int:
        return self._ask(ActKind.SUBMIT, user, waits, scope=scope, severity=severity, key="trigger")

    @rule(target=calls, user=users, place=places, has_key=st.booleans(), waits=patience)
    def close_one(self, user: str, place: int, has_key: bool, waits: float) -> int:
        key = "key" if has_key else ""
        return self._ask(ActKind.CLOSE_ONE, user, waits, scope=(place,), key=key)

    @rule(target=calls, user=users, place=places, share=shares, waits=patience)
    def close_part(self, user: str, place: int, share: float, waits: float) -> int:
        return self._ask(ActKind.CLOSE_PART, user, waits, scope=(place,), share=share, key="part")

    @rule(target=calls, user=users, waits=patience)
    def close_all(self, user: str, waits: float) -> int:
        return self._ask(ActKind.CLOSE_ALL, user, waits, key="all")

    @rule(of=calls, share=shares, waits=patience)
    def duplicate(self, of: int, share: float, waits: float) -> None:
        self._ask(ActKind.REPEAT, self._acts[of].user_id, waits, share=share, of=of)

    @rule(of=calls, share=shares, waits=patience)
    def contradict(self, of: int, share: float, waits: float) -> None:
        self._ask(ActKind.CONFLICT, self._acts[of].user_id, waits, share=share, of=of)

    @rule(user=users, waits=patience)
    def operator_release(self, user: str, waits: float) -> None:
        number, engine = self._next(), self.engine
        self.model.release_asked(user, number)
        engine.begin(Act(number, engine.now_s, ActKind.RELEASE, user))
        # On a bad network a copy of the request may arrive whenever it likes.
        is_over = engine.await_answer(waits) and not engine.plan.storms
        self.model.release_ended(user, round(engine.now_s * 1e6), is_over=is_over)

    @rule(
        user=users,
        kind=st.sampled_from([ActKind.OPEN, ActKind.PLACE, ActKind.CLOSE_BY_HAND]),
        share=shares,
    )
    def owner_acts(self, user: str, kind: ActKind, share: float) -> None:
        self.engine.begin(Act(self._next(), self.engine.now_s, kind, user, share=share))

    @rule(user=users)
    def deposit(self, user: str) -> None:
        self.engine.begin(Act(self._next(), self.engine.now_s, ActKind.DEPOSIT, user))

    # --- what time does ---------------------------------------------------------------------

    @rule(seconds=instants)
    def time_passes(self, seconds: float) -> None:
        self._facts = None
        self.engine.pass_time(seconds)

    @rule()
    def tick(self) -> None:
        """The market moves at 1, 3, 5 … s."""
        self._facts = None
        self.engine.pass_time(2.0 - (self.engine.now_s - 1.0) % 2.0 + 0.001)

    # --- what breaks ------------------------------------------------------------------------

    @rule(user=users, kind=st.sampled_from(_MENU), particulars=st.integers(0, 9))
    def fault(self, user: str, kind: FaultKind, particulars: int) -> None:
        now_s = self.engine.now_s
        self._arm(user, terminal_fault(Random(particulars), kind, now_s, now_s + 20.0))

    @rule(
        user=users,
        call=st.sampled_from((*_ORDERS_AND_READS, "after order_send")),
        seconds=st.sampled_from([1.0, 3.5, 7.0, 14.0]),
    )
    def hang(self, user: str, call: str, seconds: float) -> None:
        if call == "after order_send":
            self._arm(user, Fault(FaultKind.HANG_AFTER_EXECUTION, seconds=seconds))
        else:
            self._arm(user, Fault(FaultKind.HANG, call=call, seconds=seconds))

    @rule(user=users, call=st.sampled_from(_ORDERS_AND_READS))
    def reconnect(self, user: str, call: str) -> None:
        """The terminal restarts at a call and has to be connected to anew."""
        self._arm(user, Fault(FaultKind.RESTART, call=call))

    @rule(user=users)
    def crash_account(self, user: str) -> None:
        self._strike(Disturbance.KILL_ACCOUNT, user)

    @rule(user=users, lasts_s=st.sampled_from([1.0, 4.0, 9.0]))
    def lose_contact(self, user: str, lasts_s: float) -> None:
        self._strike(Disturbance.ZOMBIE, user, lasts_s)

    @rule()
    def crash_supervisor(self) -> None:
        self._strike(Disturbance.KILL_SUPERVISOR)

    @rule(how=st.sampled_from(_AUDIT_DEATHS))
    def crash_audit(self, how: Disturbance) -> None:
        self._strike(how)

    @rule(
        victim=st.sampled_from([*USERS, SUPERVISOR, AUDIT]),
        mark=st.sampled_from(Mark),
        steps=st.sampled_from([1, 2, 5, 20]),
    )
    def crash_at_step(self, victim: str, mark: Mark, steps: int) -> None:
        """A process dies so many steps after the next time that it does something."""
        kind = _AT_STEP.get(victim, Disturbance.KILL_ACCOUNT_AT_STEP)
        aim = AimedKill(victim, mark, kind, steps=steps)
        self.engine.strike(PlannedFault(self.engine.now_s, kind, aim=aim))
        self._facts = None

    @rule()
    def restart(self) -> None:
        """Every process dies and starts again."""
        self._strike(Disturbance.KILL_ENGINE)

    @rule(kind=st.sampled_from(_DISKS), lasts_s=st.sampled_from([0.5, 3.0, 10.0]))
    def disk_is_ill(self, kind: Disturbance, lasts_s: float) -> None:
        self._strike(kind, lasts_s=lasts_s)

    @rule()
    def clock_jumps(self) -> None:
        self._strike(Disturbance.CLOCK_SKEW)

    # --- what must be so after every step -----------------------------------------------------

    @invariant()
    def the_promises_are_kept(self) -> None:
        """One invariant, for a story that is printed names each after every step; its checks do
        not: each has a name of its own, which the failure begins with."""
        for check in AT_ANY_MOMENT:
            self._keeps(check)
        self._agrees_with_the_model()

    def _agrees_with_the_model(self) -> None:
        self._look()
        self._none("same question, same answer", self._other_answers)
        self._agrees("every close was asked for", self.model.check_cause)
        self._agrees("told closed is closed", self.model.check_told_closed)
        self._agrees("told volume is in the book", self.model.check_told_volume)

    # --- and in the end -----------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all become quiet, and see that what was begun has ended."""
        if self._engine is None:
            return
        try:
            # Not after a failure, which it would hide, nor when the story was broken off.
            if sys.exc_info()[0] is None:
                self._facts = self.engine.finish()
                self._other_answers += self.model.hear(self.engine.calls)
                self._check_the_end(self._facts)
        finally:
            self._engine.close()

    def _check_the_end(self, end: Run) -> None:
        for check in CHECKS:
            self._keeps(check)
        self._agrees_with_the_model()
        self._agrees("locked until released", self.model.check_lock)
        ended = {
            record.trigger_id or ""
            for record in end.records
            if record.event_type is EventType.EPISODE_FINISHED
        }
        self._none("every accepted episode ends", self.model.check_accepted(ended))

    # --- how a rule is done, and a promise checked ----------------------------------------------

    def _ask(
        self,
        kind: ActKind,
        user: str,
        waits: float,
        *,
        scope: tuple[int, ...] | None = None,
        severity: Severity = Severity.CRITICAL,
        key: str = "",
        share: float = 0.5,
        of: int = -1,
    ) -> int:
        number, engine = self._next(), self.engine
        act = Act(
            number,
            engine.now_s,
            kind,
            user,
            scope,
            self._acts[of].severity if of in self._acts else severity,
            f"{key}-{number}" if key else "",
            share,
            of,
        )
        self._acts[number] = act
        engine.begin(act)
        call = engine.calls[-1]
        tickets = None if call.positions is None else engine.tickets(call.user_id, call.positions)
        locks = call.kind == "trigger" and tickets is None and act.severity is Severity.CRITICAL
        self.model.asked(call, tickets, locks=locks)
        engine.await_answer(waits)
        return number

    def _arm(self, user: str, fault: Fault) -> None:
        self.engine.strike(PlannedFault(self.engine.now_s, fault.kind, user, terminal=fault))
        self._facts = None

    def _strike(self, kind: Disturbance, user: str = "", lasts_s: float = 0.0) -> None:
        self.engine.strike(PlannedFault(self.engine.now_s, kind, user, lasts_s))
        self._facts = None

    def _next(self) -> int:
        self._facts = None
        self._acts_done += 1
        return self._acts_done

    def _look(self) -> Run:
        if self._facts is None:
            self._facts = self.engine.facts()
            self._other_answers += self.model.hear(self.engine.calls)
        return self._facts

    def _keeps(self, check: Check) -> None:
        broken = list(check(self._look()))
        story = broken and self.engine.world.history.excerpt(broken[0].user_id, most=40)
        assert not broken, "\n".join([*map(str, broken), "", *story])

    def _agrees(self, name: str, check: Callable[[AccountSeen], Iterator[str]]) -> None:
        self._none(name, [text for account in self._look().accounts for text in check(account)])

    def _none(self, name: str, differences: Iterable[str]) -> None:
        found = list(differences)
        story = found and self.engine.world.history.excerpt("", most=60)
        assert not found, "\n".join([f"{name}:", *found, "", *story])
