"""Draws the faults that are aimed at a point of a life, from random streams of their own.

So the rest of a plan does not depend on them: three seeds of five have such faults, and the
others, whose number leaves 3 or 4 when divided by 5, are what they would be without.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from random import Random

from actors.simulation.aimed_kills import AUDIT, SUPERVISOR, AimedKill, Mark
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.fault_plan import PlannedFault
from actors.simulation.timing import MOST_HELD

_OF_FIVE = 3
_MARKS = {
    AUDIT: (Mark.MOMENT, Mark.BIRTH, Mark.RECORDS, Mark.RECORDS),
    SUPERVISOR: (
        Mark.MOMENT,
        Mark.BIRTH,
        Mark.MANDATE,
        Mark.ACTIVATION,
        Mark.REQUEST,
        Mark.RECORDS,
    ),
}
_MARKS_OF_ACCOUNT = (
    Mark.MOMENT,
    Mark.BIRTH,
    Mark.MANDATE,
    Mark.ACTIVATION,
    Mark.REQUEST,
    Mark.REQUEST,
    Mark.RECORDS,
)
_AT_STEP = {
    AUDIT: Disturbance.KILL_AUDIT_AT_STEP,
    SUPERVISOR: Disturbance.KILL_SUPERVISOR_AT_STEP,
}
_KILL = {AUDIT: Disturbance.KILL_AUDIT, SUPERVISOR: Disturbance.KILL_SUPERVISOR}
_AROUND_A_COMMIT = (
    Disturbance.KILL_AUDIT_BEFORE_COMMIT,
    Disturbance.KILL_AUDIT_AFTER_COMMIT,
    Disturbance.JOURNAL_FAILING,
)
_MOST_STEPS = (2, 8, 30, 120)
_YOUNGEST_S = 0.2
"""A newborn process dies within this time."""


def has_aimed_faults(seed: int) -> bool:
    """Whether a seed's plan has faults that are aimed."""
    return seed % 5 < _OF_FIVE


def plan_aimed_kills(
    seed: int, users: Sequence[str], acts: Sequence[tuple[float, str]], end_s: float
) -> Iterator[PlannedFault]:
    """Draw the kills after so many steps, and those of processes that have just been started.

    Args:
        seed: decides everything.
        users: that can be struck.
        acts: when who is asked for something.
        end_s: when faults end.
    """
    if not has_aimed_faults(seed):
        return
    random = Random(f"{seed}:steps")
    for _ in range(random.randint(1, 5)):
        at_s, user_id = random.uniform(0.0, end_s - 3.0), random.choice(users)
        if acts and random.random() < 0.8:
            begun_s, user_id = random.choice(acts)
            at_s = min(end_s - 3.0, max(0.0, begun_s + random.uniform(-0.05, 0.6)))
        victim = random.choice((user_id, user_id, user_id, SUPERVISOR, AUDIT))
        if random.random() < 0.25:
            yield from _newborn(random, victim, at_s)
            continue
        kind = _AT_STEP.get(victim, Disturbance.KILL_ACCOUNT_AT_STEP)
        mark = random.choice(_MARKS.get(victim, _MARKS_OF_ACCOUNT))
        lives = 2 if mark is not Mark.MOMENT and random.random() < 0.3 else 1
        steps = random.randint(1, random.choice(_MOST_STEPS))
        if mark is Mark.BIRTH:
            at_s = yield from _a_birth(random, victim, at_s)
        yield _planned(at_s, AimedKill(victim, mark, kind, steps=steps, lives=lives))


def plan_commit_faults(
    seed: int, acts: Sequence[tuple[float, str]], end_s: float
) -> Iterator[PlannedFault]:
    """Draw deaths around the journal's commits, and commits that fail; see above for the rest."""
    random = Random(f"{seed}:disk")
    if not has_aimed_faults(seed) or random.random() < 0.4:
        return
    for _ in range(random.randint(1, 3)):
        at_s = random.uniform(0.0, end_s - 6.0)
        if acts and random.random() < 0.7:
            at_s = min(end_s - 6.0, random.choice(acts)[0])
        kind = random.choice(_AROUND_A_COMMIT)
        if kind is Disturbance.JOURNAL_FAILING:
            yield PlannedFault(at_s, kind, lasts_s=random.uniform(0.5, 6.0))
        else:
            yield PlannedFault(at_s, kind, commits=random.randrange(6))


def plan_bound(
    seed: int, acts: Sequence[tuple[float, str]], end_s: float
) -> tuple[int, tuple[PlannedFault, ...]]:
    """Draw how many records an account may hold, and a journal that is away until it does."""
    random = Random(f"{seed}:held")
    if not has_aimed_faults(seed) or random.random() < 0.6:
        return MOST_HELD, ()
    at_s = random.choice(acts)[0] if acts else 0.0
    lasts_s = random.uniform(8.0, 20.0)
    at_s = max(0.0, min(end_s - lasts_s, at_s - 0.5))
    full = PlannedFault(at_s, Disturbance.JOURNAL_FULL, lasts_s=lasts_s)
    return random.choice((6, 7, 8)), (full,)


def _newborn(random: Random, victim: str, at_s: float) -> Iterator[PlannedFault]:
    at_s = yield from _a_birth(random, victim, at_s)
    lives = random.choice((1, 1, 2, 3))
    after_s = random.uniform(0.0, _YOUNGEST_S)
    kind = Disturbance.KILL_NEWBORN
    yield _planned(at_s, AimedKill(victim, Mark.BIRTH, kind, after_s=after_s, lives=lives))


def _a_birth(random: Random, victim: str, at_s: float) -> Generator[PlannedFault, None, float]:
    """See to it that somebody is born soon: returns from when on it may be."""
    if random.random() < 0.2:
        return 0.0  # the first life
    kind = _KILL.get(victim, Disturbance.KILL_ACCOUNT)
    yield PlannedFault(at_s, kind, "" if victim in _KILL else victim)
    return at_s


def _planned(at_s: float, aim: AimedKill) -> PlannedFault:
    user_id = "" if aim.victim in _KILL else aim.victim
    return PlannedFault(at_s, aim.kind, user_id, aim=aim)
