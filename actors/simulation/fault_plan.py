"""What goes wrong in a scenario, drawn from the seed: kills, storms, hangs, bad disks, venues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from actors.simulation.aimed_kills import AimedKill
from actors.simulation.clock import EPOCH_US
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.network import Storm
from actors.simulation.portfolio import SYMBOLS, PlannedAccount
from actors.simulation.timing import LATEST_EXECUTION_S, LONG_HANG_S, SHORT_HANG_S
from engine.simulated.faults import EXECUTED_LATER, IPC_ERRORS, Fault, FaultKind

_STORMS = (
    Disturbance.MESSAGE_DELAYED,
    Disturbance.MESSAGE_REORDERED,
    Disturbance.REQUEST_LOST,
    Disturbance.REPLY_LOST,
    Disturbance.MESSAGE_DOUBLED,
)
_PLANNED = (
    Disturbance.KILL_ACCOUNT,
    Disturbance.KILL_ACCOUNT,
    Disturbance.KILL_SUPERVISOR,
    Disturbance.KILL_AUDIT,
    Disturbance.KILL_ENGINE,
    Disturbance.ZOMBIE,
    Disturbance.ZOMBIE,
    Disturbance.CLOCK_SKEW,
    Disturbance.JOURNAL_SLOW,
    Disturbance.JOURNAL_FULL,
    Disturbance.STORE_SLOW,
    Disturbance.STORE_AWAY,
    Disturbance.STORE_FULL,
    Disturbance.STORE_TAIL_LOST,
    Disturbance.STORE_DAMAGED,
)
_IN_THE_ACT = 0.7
"""Share of the disturbances that come right after somebody has asked for something."""
_CLOSED_MARKET = 0.35
"""Share of the runs in which one market is closed for long."""
_AT_ANY_CALL = ("order_send", "positions_get", "history_deals_get", "account_info")
_IPC_CODES = (-1, -10000, -10001, -10002, -10003, -10004, -10005)
_RETCODES = (10006, 10007, 10011, 10013, 10015, 10017, 10019, 10020, 10023, 10027, 10028, 10031,
             10036, 10038, 10039, 10999)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One thing that goes wrong at a time."""

    at_s: float
    kind: Disturbance | FaultKind
    user_id: str = ""
    """The account; empty for the whole engine."""
    lasts_s: float = 0.0
    terminal: Fault | None = None
    """What strikes the account's terminal, for a fault of its menu."""
    aim: AimedKill | None = None
    """Whom a kill that is aimed at a point of a life strikes, and where."""
    commits: int = 0
    """How many commits of the journal go well before it strikes one."""


def plan_faults(
    random: Random,
    accounts: tuple[PlannedAccount, ...],
    focus: PlannedAccount,
    acts: Sequence[tuple[float, str]],
    end_s: float,
) -> tuple[tuple[PlannedFault, ...], tuple[Storm, ...]]:
    """Draw faults and storms; all of them are over at ``end_s``.

    Args:
        random: draws.
        accounts: that can be struck.
        focus: the one that is struck most.
        acts: when who is asked for something.
        end_s: when faults end.
    """
    faults: list[PlannedFault] = []
    kinds = list(FaultKind)
    for _ in range(random.randint(3, 5 + 3 * len(accounts))):
        at_s = random.uniform(0.0, end_s - 4.0)
        account = focus if random.random() < 0.5 else random.choice(accounts)
        fault = terminal_fault(random, random.choice(kinds), at_s, end_s)
        faults.append(PlannedFault(at_s, fault.kind, account.user_id, terminal=fault))
    for _ in range(random.randint(0, 7)):
        disturbance = _disturbance(random, accounts, focus, acts, end_s)
        faults.append(disturbance)
        if disturbance.kind is Disturbance.ZOMBIE:
            faults.extend(_held_up(random, disturbance))
    if random.random() < _CLOSED_MARKET:
        faults.append(_closed_market(random, focus, end_s))
    if random.random() < 0.3:
        at_s = random.uniform(1.0, end_s - 4.0)
        seconds = random.uniform(LONG_HANG_S, 2 * LONG_HANG_S)
        hang = Fault(FaultKind.HANG, call=random.choice(_AT_ANY_CALL), seconds=seconds)
        user_id = random.choice((focus, random.choice(accounts))).user_id
        faults.append(PlannedFault(at_s, hang.kind, user_id, terminal=hang))
    storms = []
    if random.random() < 0.7:
        for _ in range(random.randint(1, 4)):
            begins_s = random.uniform(0.0, end_s - 3.0)
            storms.append(
                Storm(
                    begins_s,
                    min(end_s, begins_s + random.uniform(1.0, 10.0)),
                    random.choice(_STORMS),
                    random.choice((0.05, 0.1, 0.3, 0.6)),
                    random.choice((None, random.choice(accounts).user_id)),
                )
            )
    return tuple(sorted(faults, key=lambda fault: fault.at_s)), tuple(storms)


def _disturbance(
    random: Random,
    accounts: tuple[PlannedAccount, ...],
    focus: PlannedAccount,
    acts: Sequence[tuple[float, str]],
    end_s: float,
) -> PlannedFault:
    kind = random.choice(_PLANNED)
    at_s = random.uniform(0.5, end_s - 3.0)
    user_id = random.choice((focus, random.choice(accounts))).user_id
    if acts and random.random() < _IN_THE_ACT:
        begun_s, user_id = random.choice(acts)
        at_s = min(end_s - 3.0, begun_s + random.choice((0.01, 0.1, 0.6, 3.0)) * random.random())
    concerns_one = kind in (Disturbance.KILL_ACCOUNT, Disturbance.ZOMBIE)
    # A life that was taken for dead does harm only if it outlives its successor's waiting.
    lasts_s = random.uniform(2.0, 10.0) if kind is Disturbance.ZOMBIE else random.uniform(0.5, 8.0)
    return PlannedFault(
        at_s=at_s,
        kind=kind,
        user_id=user_id if concerns_one else "",
        lasts_s=min(lasts_s, end_s - at_s),
    )


def _held_up(random: Random, zombie: PlannedFault) -> list[PlannedFault]:
    """Let orders come to nothing, so that a life that was taken for dead still has some to send
    when its successor begins: each costs it one settle window."""
    kinds = (FaultKind.TIMEOUT_WITHOUT_EXECUTION, FaultKind.PLACED_WITHOUT_EXECUTION)
    return [
        PlannedFault(zombie.at_s, kind, zombie.user_id, terminal=Fault(kind))
        for kind in random.choices(kinds, k=random.choice((0, 3, 6)))
    ]


def _closed_market(random: Random, account: PlannedAccount, end_s: float) -> PlannedFault:
    """Close one market for long, so that episodes wait while other things go wrong."""
    at_s = random.uniform(0.0, 4.0)
    until_ms = EPOCH_US // 1000 + round(random.uniform(end_s / 2, end_s) * 1e3)
    fault = Fault(FaultKind.MARKET_CLOSED, symbol=random.choice(SYMBOLS), until_ms=until_ms)
    return PlannedFault(at_s, fault.kind, account.user_id, terminal=fault)


def terminal_fault(random: Random, kind: FaultKind, at_s: float, end_s: float) -> Fault:
    """Draw the particulars of a terminal's fault of this kind that begins at ``at_s``."""
    late_ms = random.uniform(50.0, LATEST_EXECUTION_S * 1e3)
    if kind in EXECUTED_LATER:
        code = random.choice(_IPC_CODES) if kind in IPC_ERRORS else None
        return Fault(kind, delay_ms=late_ms, code=code)
    if kind is FaultKind.IPC_ERROR_WITHOUT_EXECUTION:
        return Fault(kind, call=random.choice(_AT_ANY_CALL), code=random.choice(_IPC_CODES))
    if kind in IPC_ERRORS:
        return Fault(kind, code=random.choice(_IPC_CODES))
    if kind is FaultKind.PARTIAL_FILL:
        return Fault(kind, fraction=random.choice((0.3, 0.5, 0.8)))
    if kind is FaultKind.MARKET_CLOSED:
        until_s = min(end_s, at_s + random.uniform(2.0, 20.0))
        until_ms = EPOCH_US // 1000 + round(until_s * 1e3)
        return Fault(kind, symbol=random.choice(SYMBOLS), until_ms=until_ms)
    if kind is FaultKind.RETCODE:
        return Fault(kind, code=random.choice(_RETCODES))
    if kind is FaultKind.LATE_DEALS:
        return Fault(kind, delay_ms=random.uniform(50.0, 800.0))
    if kind is FaultKind.LINGERING_POSITION:
        return Fault(kind, delay_ms=random.uniform(50.0, 800.0))
    if kind is FaultKind.HANG:
        seconds = random.uniform(*SHORT_HANG_S)
        return Fault(kind, call=random.choice(_AT_ANY_CALL), seconds=seconds)
    if kind is FaultKind.HANG_AFTER_EXECUTION:
        return Fault(kind, seconds=random.uniform(SHORT_HANG_S[0], 2 * LONG_HANG_S))
    if kind is FaultKind.RESTART:
        return Fault(kind, call=random.choice(_AT_ANY_CALL))
    return Fault(kind)
