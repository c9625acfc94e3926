"""Kills that are aimed at a point of a life: after so many steps from where it does something.

A kill at a moment of virtual time always falls into a wait. Most awaits take no virtual time, so
a death between two of them has to be counted in steps: what the loop runs of a process at one go,
from one await to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.process import Process

AUDIT, SUPERVISOR = "audit", "supervisor"


class Mark(StrEnum):
    """Where in a life the counting begins."""

    MOMENT = "moment"
    """Wherever it is when its time has come."""
    BIRTH = "birth"
    MANDATE = "mandate"
    """A mandate reaches it: the supervisor a client's, an account the supervisor's."""
    ACTIVATION = "activation"
    """It is activated, or activates somebody."""
    REQUEST = "request"
    """It hands a request over: an account to its terminal, the supervisor to an account."""
    RECORDS = "records"
    """Records leave it, or reach the audit."""


@dataclass(frozen=True, slots=True)
class AimedKill:
    """A death of one life or of several, one after the other."""

    victim: str
    """``audit``, ``supervisor`` or a user's name."""
    mark: Mark
    kind: Disturbance
    """What it counts as."""
    steps: int = 0
    """Dies at the end of this step after the mark; 0: by ``after_s``."""
    after_s: float = 0.0
    """Seconds of virtual time after the mark."""
    lives: int = 1
    """How many lives in a row die so."""


_SENT = {"append": Mark.RECORDS, "close": Mark.REQUEST, "activate": Mark.ACTIVATION}
_ARRIVED = {
    "append": Mark.RECORDS,
    "close": Mark.MANDATE,
    "submit": Mark.MANDATE,
    "activate": Mark.ACTIVATION,
}


class AimedKills:
    """Holds the kills that wait for their mark, and strikes.

    Args:
        find: returns the present life of a victim.
        strike: kills that life, which is still the present one.
        after: sets a timer that no process owns.
    """

    def __init__(
        self,
        find: Callable[[str], Process | None],
        strike: Callable[[AimedKill], None],
        after: Callable[[float, Callable[[], object]], None],
    ) -> None:
        """Begin with nothing armed."""
        self._find = find
        self._strike = strike
        self._after = after
        self._armed: list[AimedKill] = []
        self._is_calm = False

    def arm(self, kill: AimedKill) -> None:
        """Let a kill begin to count at its mark; at once if that is this very moment."""
        if kill.mark is Mark.MOMENT:
            process = self._find(kill.victim)
            if process is not None:
                self._count(kill, process)
        else:
            self._armed.append(kill)

    def calm(self) -> None:
        """Nobody is killed any more."""
        self._is_calm = True
        self._armed.clear()

    def sent(self, process: Process, method: str) -> None:
        """Hear that a process sends a call."""
        if self._armed and method in _SENT:
            self.reached(process, _SENT[method])

    def arrived(self, process: Process, method: str) -> None:
        """Hear that a call arrives at a process."""
        if self._armed and method in _ARRIVED:
            self.reached(process, _ARRIVED[method])

    def reached(self, process: Process, mark: Mark) -> None:
        """Hear that a process is at a mark."""
        for kill in self._armed:
            if kill.mark is mark and kill.victim == process.name.rpartition("/")[0]:
                self._armed.remove(kill)
                self._count(kill, process)
                return

    def _count(self, kill: AimedKill, process: Process) -> None:
        if kill.steps:
            process.after_steps(kill.steps, lambda: self._fall(kill, process))
        else:
            self._after(kill.after_s, lambda: self._fall(kill, process))

    def _fall(self, kill: AimedKill, process: Process) -> None:
        if self._is_calm or not process.is_alive or self._find(kill.victim) is not process:
            return
        if kill.lives > 1:
            self.arm(replace(kill, lives=kill.lives - 1))
        self._strike(kill)
