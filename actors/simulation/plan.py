"""A scenario from a seed: accounts, what clients do, and what goes wrong, each at its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from actors.simulation.aimed_plan import plan_aimed_kills, plan_bound, plan_commit_faults
from actors.simulation.fault_plan import PlannedFault, plan_faults
from actors.simulation.network import Storm
from actors.simulation.portfolio import PlannedAccount, plan_accounts
from actors.simulation.timing import MOST_HELD
from engine.models import Severity

FAULTS_END_S = 32.0
"""From this moment on nothing goes wrong any more."""
ACTS_END_S = 30.0
FOCUS = 0.4
"""Share of the bursts of acts that falls on one account."""


class ActKind(StrEnum):
    """What a client, an owner or an operator can do."""

    SUBMIT = "submit"
    CLOSE_ONE = "close one"
    CLOSE_PART = "close part"
    CLOSE_SOME = "close some"
    CLOSE_ALL = "close all"
    REPEAT = "repeat"
    """Do an earlier act once more, word for word."""
    CONFLICT = "conflict"
    """Use an earlier act's key or name for something else."""
    RELEASE = "release"
    OPEN = "open by hand"
    CLOSE_BY_HAND = "close by hand"
    PLACE = "place pending order"
    DEPOSIT = "deposit"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody does."""

    number: int
    at_s: float
    kind: ActKind
    user_id: str
    positions: tuple[int, ...] | None = None
    """Which of the account's first positions, by place; ``None`` is all that are open."""
    severity: Severity = Severity.CRITICAL
    key: str = ""
    """Trigger id of a trigger, idempotency key of a direct close (empty: the default)."""
    share: float = 0.5
    """Part of a position, of a price, of a choice."""
    of: int = -1
    """Number of the earlier act that is repeated or contradicted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a run begins."""

    seed: int
    accounts: tuple[PlannedAccount, ...]
    acts: tuple[Act, ...]
    faults: tuple[PlannedFault, ...]
    storms: tuple[Storm, ...]
    observes: bool = False
    """Whether the engine runs with mode ``observe``."""
    most_held: int = MOST_HELD
    """Records that an account may hold while the journal is away."""
    skews_us: dict[str, int] = field(default_factory=dict)
    """Wall clocks that are off from the beginning, by process name's first part."""


def make_plan(seed: int, accounts: int = 5, positions: int = 5) -> Plan:
    """Draw a scenario.

    Args:
        seed: decides everything.
        accounts: how many there are.
        positions: how many each has at first.

    Raises:
        ValueError: a number is below 1.
    """
    for name, value in (("accounts", accounts), ("positions", positions)):
        if value < 1:
            raise ValueError(f"{name}={value!r} must be 1 or more")
    random = Random(f"plan/{seed}/{accounts}/{positions}")
    planned = plan_accounts(random, accounts, positions)
    # Most of what happens falls on one account, so that much of it falls together.
    focus = random.choice(planned)
    acts = _plan_acts(random, planned, focus)
    asked = [(act.at_s, act.user_id) for act in acts]
    faults, storms = plan_faults(random, planned, focus, asked, FAULTS_END_S)
    users = [account.user_id for account in planned]
    kills = plan_aimed_kills(seed, users, asked, FAULTS_END_S)
    commits = plan_commit_faults(seed, asked, FAULTS_END_S)
    most_held, away = plan_bound(seed, asked, FAULTS_END_S)
    faults = tuple(sorted((*faults, *kills, *commits, *away), key=lambda fault: fault.at_s))
    return Plan(
        seed=seed,
        accounts=planned,
        acts=acts,
        faults=faults,
        storms=storms,
        observes=random.random() < 0.02,
        most_held=most_held,
        skews_us={
            name: random.choice((0, 0, random.randrange(-900_000, 900_000)))
            for name in ("supervisor", "audit", "account")
        },
    )


_KINDS = (
    (ActKind.SUBMIT, 8),
    (ActKind.CLOSE_ONE, 4),
    (ActKind.CLOSE_PART, 4),
    (ActKind.CLOSE_SOME, 2),
    (ActKind.CLOSE_ALL, 2),
    (ActKind.REPEAT, 6),
    (ActKind.CONFLICT, 2),
    (ActKind.RELEASE, 1),
    (ActKind.OPEN, 3),
    (ActKind.CLOSE_BY_HAND, 2),
    (ActKind.PLACE, 1),
    (ActKind.DEPOSIT, 1),
)
_REPEATABLE = (
    ActKind.SUBMIT,
    ActKind.CLOSE_ONE,
    ActKind.CLOSE_PART,
    ActKind.CLOSE_SOME,
    ActKind.CLOSE_ALL,
)


def _plan_acts(
    random: Random, accounts: tuple[PlannedAccount, ...], focus: PlannedAccount
) -> tuple[Act, ...]:
    kinds = [kind for kind, weight in _KINDS for _ in range(weight)]
    times: list[tuple[float, PlannedAccount]] = []
    for _ in range(round(len(accounts) * random.uniform(1.0, 2.2)) + 1):
        at_s = random.uniform(0.5, ACTS_END_S)
        account = focus if random.random() < FOCUS else random.choice(accounts)
        # Acts come in bursts: episodes that are open side by side share their positions.
        for _ in range(random.choice((1, 1, 2, 3, 4))):
            times.append((at_s, account))
            at_s += random.choice((0.0, 0.02, 0.3, 2.0)) * random.random()
    acts: list[Act] = []
    for number, (at_s, account) in enumerate(sorted(times, key=lambda item: item[0])):
        acts.append(_act(random, number, at_s, random.choice(kinds), account, acts))
    return tuple(acts)


def _act(
    random: Random,
    number: int,
    at_s: float,
    kind: ActKind,
    account: PlannedAccount,
    earlier: list[Act],
) -> Act:
    user_id = account.user_id
    count = len(account.positions)
    severity = Severity.CRITICAL if random.random() < 0.7 else Severity.WARNING
    share = random.random()
    if kind in (ActKind.REPEAT, ActKind.CONFLICT):
        repeatable = [act for act in earlier if act.kind in _REPEATABLE]
        if not repeatable:
            kind = ActKind.SUBMIT
        else:
            first = random.choice(repeatable)
            return Act(number, at_s, kind, first.user_id, share=share, of=first.number)
    if kind is ActKind.SUBMIT:
        draw = random.random()
        positions: tuple[int, ...] | None = None
        if draw > 0.97:
            positions = ()
        elif draw > 0.7:
            positions = _some(random, count)
        return Act(number, at_s, kind, user_id, positions, severity, f"trigger-{number}", share)
    if kind is ActKind.CLOSE_ALL:
        return Act(number, at_s, kind, user_id, None, severity, f"all-{number}", share)
    if kind is ActKind.CLOSE_SOME:
        return Act(number, at_s, kind, user_id, _some(random, count), severity, f"some-{number}")
    if kind in (ActKind.CLOSE_ONE, ActKind.CLOSE_PART):
        key = random.choice(("", f"key-{number}"))
        if kind is ActKind.CLOSE_PART:
            key = f"part-{number}"
        return Act(number, at_s, kind, user_id, (random.randrange(count),), severity, key, share)
    return Act(number, at_s, kind, user_id, None, severity, "", share)


def _some(random: Random, count: int) -> tuple[int, ...]:
    return tuple(sorted(random.sample(range(count), random.randint(1, count))))
