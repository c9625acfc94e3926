"""The killer: ends live processes of an engine by SIGKILL while positions are being closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from actors.placement import AUDIT, SUPERVISOR, account_name
from actors.stress.chaos_plan import ChaosPlan, Target
from engine.simulated.served import AccountCounts, InFlight

_LOOK_EVERY_S = 0.02
YOUNG_US = 20_000
"""An order that the venue has had for no longer than this is a good moment to kill its sender."""
YOUNG_WITHIN_S = 3.0
"""For so long such an order is looked for; then any account with work left will do."""
RECOVERY_WITHIN_S = 60.0
"""For so long an answer of a killed supervisor or audit is waited for after the last kill."""

Probe = Callable[[], "ray.ObjectRef[Any]"]
"""Makes a harmless call to an actor."""


class Outlook(Protocol):
    """What the killer asks a venue; :class:`~engine.simulated.served.VenueControl` answers."""

    def counts(self) -> Mapping[int, AccountCounts]:
        """Count every account, by login."""
        ...

    def in_flight(self, login: int | None = None) -> Sequence[InFlight]:
        """Return the requests whose clients wait for an answer now."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class Processes(Protocol):
    """The engine's processes; see :class:`~actors.stress.actor_processes.ActorProcesses`."""

    def pid(self, name: str) -> int | None:
        """Return the number of an actor's live process, if it has one."""
        ...

    def kill(self, pid: int) -> bool:
        """End a process; ``False`` if it was gone already."""
        ...


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that was killed. Times are µs UTC of this machine."""

    target: Target
    user_id: str
    """The account's; empty for supervisor and audit."""
    pid: int
    at_us: int
    answered_us: int | None = None
    """When supervisor or audit answered again; an account's progress is in the venue's book."""


class Killer:
    """Kills as planned, in a thread of its own, until nothing is open any more.

    A kill is due when a certain part of all positions is closed, which the plan's seed decides.
    It is made on a live process only: an account's while it has positions to close, preferably
    with an order in flight; supervisor and audit while any account has, and not before they have
    answered since the last kill. Whether an episode was open is judged afterwards, by the
    engine's own reports: see :func:`~actors.stress.chaos_figures.chaos_figures`.

    Args:
        plan: what is asked for.
        venue: tells what is open and in flight; the killer's own connection, closed at the end.
        processes: of supervisor, audit and the accounts.
        logins: account numbers at the venue, by user.
        probes: calls that show that supervisor and audit answer again.
    """

    def __init__(
        self,
        plan: ChaosPlan,
        venue: Outlook,
        processes: Processes,
        logins: Mapping[str, int],
        probes: Mapping[Target, Probe],
    ) -> None:
        """Prepare; :meth:`start` begins."""
        self._plan = plan
        self._venue = venue
        self._processes = processes
        self._users = {login: user_id for user_id, login in logins.items()}
        self._probes = probes
        self._random = Random(f"{plan.seed}/victims")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)
        self._failure: Exception | None = None
        self._kills: list[Kill] = []
        self._unanswered: dict[Target, tuple[int, ray.ObjectRef[Any] | None]] = {}
        self._waits_since: float | None = None

    def start(self) -> None:
        """Begin to kill; call it once the triggers are accepted."""
        self._thread.start()

    def wait(self, within_s: float) -> None:
        """Wait until it has ended by itself, but no longer than ``within_s`` seconds."""
        self._thread.join(within_s)

    def enough(self) -> None:
        """Kill no more; never waits."""
        self._over.set()

    def stop(self) -> tuple[Kill, ...]:
        """End, and return what was killed, in order; harmless when done twice.

        Raises:
            Exception: whatever has broken the killer off.
        """
        self.enough()
        if self._thread.ident is not None:
            self._thread.join()
        self._venue.close()
        if self._failure is not None:
            raise self._failure
        return tuple(self._kills)

    def _run(self) -> None:
        try:
            self._kill_as_planned()
            self._await_answers()
        except Exception as error:  # noqa: BLE001  # it belongs to whoever stops the killer
            self._failure = error

    def _kill_as_planned(self) -> None:
        deck, moments = self._plan.deck(), self._plan.moments()
        total = sum(counts.open_positions + counts.closes for counts in self._counts())
        while deck and not self._over.is_set():
            self._hear_answers()
            open_at = {c.login: c.open_positions for c in self._counts() if c.open_positions}
            left = sum(open_at.values())
            if not left:
                return
            if 1 - left / total >= moments[len(self._kills)]:
                self._kill_one_of(deck, open_at)
            self._over.wait(_LOOK_EVERY_S)

    def _counts(self) -> Sequence[AccountCounts]:
        return list(self._venue.counts().values())

    def _kill_one_of(self, deck: list[Target], open_at: Mapping[int, int]) -> None:
        """Kill the first of the planned kinds that has a live process."""
        for place, target in enumerate(deck):
            if target in deck[:place]:
                continue
            kill = (
                self._kill_account(open_at)
                if target is Target.ACCOUNT
                else self._kill_single(target)
            )
            if kill is not None:
                self._kills.append(kill)
                del deck[place]
                return

    def _kill_single(self, target: Target) -> Kill | None:
        if target in self._unanswered:
            return None
        pid = self._processes.pid(SUPERVISOR if target is Target.SUPERVISOR else AUDIT)
        if pid is None:
            return None
        kill = self._kill(target, "", pid)
        if kill is not None:
            self._unanswered[target] = (len(self._kills), None)
        return kill

    def _kill_account(self, open_at: Mapping[int, int]) -> Kill | None:
        waiting = [entry for entry in self._venue.in_flight() if entry.login in open_at]
        # A process takes a while to die: only a young order is sure not to be answered before.
        youngest = max(waiting, key=lambda entry: entry.arrived_us, default=None)
        is_young = youngest is not None and _now_us() - youngest.arrived_us <= YOUNG_US
        if not is_young and self._may_wait():
            return None
        if youngest is None:
            user_id = self._users[self._random.choice(sorted(open_at))]
            pid = self._processes.pid(account_name(user_id))
        else:
            user_id = self._users[youngest.login]
            pid = self._processes.pid(account_name(user_id))
            if pid != youngest.client_pid:
                return None
        if pid is None:
            return None
        self._waits_since = None
        return self._kill(Target.ACCOUNT, user_id, pid)

    def _may_wait(self) -> bool:
        """Whether to look for a young order once more: for a while, anew for each kill."""
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        return now - self._waits_since < YOUNG_WITHIN_S

    def _kill(self, target: Target, user_id: str, pid: int) -> Kill | None:
        at_us = _now_us()
        return Kill(target, user_id, pid, at_us) if self._processes.kill(pid) else None

    def _hear_answers(self) -> None:
        """Look whether killed supervisors and audits answer again; never waits."""
        for target, (number, call) in list(self._unanswered.items()):
            if call is None:
                self._unanswered[target] = (number, self._probes[target]())
                continue
            ready, _ = ray.wait([call], timeout=0)
            if not ready:
                continue
            try:
                ray.get(call)
            except RayError:  # it is not back yet, or lacks the other one that is not
                self._unanswered[target] = (number, None)
                continue
            answered = replace(self._kills[number], answered_us=_now_us())
            self._kills[number] = answered
            del self._unanswered[target]

    def _await_answers(self) -> None:
        give_up = time.monotonic() + RECOVERY_WITHIN_S
        while self._unanswered and time.monotonic() < give_up:
            self._hear_answers()
            time.sleep(_LOOK_EVERY_S)


def _now_us() -> int:
    return time.time_ns() // 1_000
