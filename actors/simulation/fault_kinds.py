"""What can go wrong in a simulated run, besides the menu of the terminal."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from engine.simulated.faults import FaultKind


class Disturbance(StrEnum):
    """A fault of the engine's own surroundings."""

    KILL_ACCOUNT = "kill account"
    KILL_SUPERVISOR = "kill supervisor"
    KILL_AUDIT = "kill audit"
    KILL_ENGINE = "kill engine"
    """All processes at once."""
    KILL_ACCOUNT_AT_STEP = "kill account at a step"
    """After so many steps from where it does something: also between two awaits without a wait."""
    KILL_SUPERVISOR_AT_STEP = "kill supervisor at a step"
    KILL_AUDIT_AT_STEP = "kill audit at a step"
    KILL_NEWBORN = "kill newborn"
    """A process that has just been started, and perhaps the next one, too."""
    KILL_AUDIT_BEFORE_COMMIT = "kill audit before a commit"
    """It has received records, and they are not on disk."""
    KILL_AUDIT_AFTER_COMMIT = "kill audit after a commit"
    """Records are on disk, and nobody is told."""
    ZOMBIE = "zombie"
    """An account's process loses contact, is replaced, and lives on for a while."""
    MESSAGE_DELAYED = "message delayed"
    MESSAGE_REORDERED = "message reordered"
    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"
    MESSAGE_DOUBLED = "message doubled"
    HANG_ENDED = "hang ended by watchdog"
    CLOCK_SKEW = "clock skew"
    JOURNAL_SLOW = "journal slow"
    JOURNAL_FULL = "journal full"
    JOURNAL_FAILING = "journal failing"
    """The disk reports an error at some commits: what was written in them is undone."""
    RECORDS_AT_BOUND = "held records at their bound"
    """An account holds as many records as it may: it follows from a journal that is away."""
    STORE_SLOW = "store slow"
    STORE_AWAY = "store away"
    STORE_FULL = "store full"
    STORE_TAIL_LOST = "store tail lost"
    STORE_DAMAGED = "store damaged"


AUDIT_DEATHS: Final = (
    Disturbance.KILL_AUDIT_BEFORE_COMMIT,
    Disturbance.KILL_AUDIT_AFTER_COMMIT,
)
"""Deaths of the audit actor that wait for a commit of its journal."""

DISK_WINDOWS: Final = (
    Disturbance.JOURNAL_SLOW,
    Disturbance.JOURNAL_FULL,
    Disturbance.STORE_SLOW,
    Disturbance.STORE_AWAY,
    Disturbance.STORE_FULL,
)
"""Troubles of the disk that last: each counts once a window and account, when it acts."""

ALL_KINDS: Final = (*(str(d) for d in Disturbance), *(f"terminal: {k.value}" for k in FaultKind))
"""Rows of the coverage table."""


def terminal_kind(kind: FaultKind) -> str:
    """Name a terminal's fault as the coverage table does."""
    return f"terminal: {kind.value}"
