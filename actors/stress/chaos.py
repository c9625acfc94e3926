"""Chaos around one run: the engine's small waits, the killer, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from actors.handle import RiskEngine
from actors.messages import AccountBook, EpisodeReport
from actors.placement import AUDIT, READING, SUPERVISOR, account_name
from actors.stress.actor_processes import ActorProcesses
from actors.stress.chaos_figures import ChaosFigures, chaos_figures
from actors.stress.chaos_plan import ChaosPlan, Target
from actors.stress.killing import Kill, Killer
from actors.stress.options import StressOptions
from actors.stress.run_history import HISTORY_FILE, write_and_check
from actors.stress.venue import OutsideVenue, answer_within_s
from audit.records import AuditRecord

KILLS_FILE = "kills.jsonl"
LONGEST_SILENCE_S = 30.0


class Gathered(Protocol):
    """What a run has left: see :class:`actors.stress.run.Findings`."""

    @property
    def episodes(self) -> Sequence[EpisodeReport]:
        """What was told of each trigger."""
        ...

    @property
    def closes(self) -> Sequence[AuditRecord]:
        """The store's final records of closes."""
        ...

    @property
    def books(self) -> Sequence[AccountBook]:
        """The venue's books."""
        ...

    @property
    def heard_us(self) -> int:
        """When the reports had all come back."""
        ...


def engine_settings(options: StressOptions) -> dict[str, Any]:
    """Return what of the engine's configuration chaos makes small; seconds.

    Silence stays long: it also bounds the start of an account's process, of which there are many.
    """
    if options.chaos is None:
        return {}
    window_s = options.settle_window_ms / 1000
    deadline_s = answer_within_s(options)
    return {
        "settle_window_s": window_s,
        "deal_lag_s": min(2.0, window_s),
        "read_deadline_s": deadline_s,
        "send_deadline_s": deadline_s,
        "lease_s": max(5.0, 5 * window_s),
        "silence_s": LONGEST_SILENCE_S + deadline_s,
    }


class Chaos:
    """Kills around one run.

    Args:
        plan: what is asked for.
        venue: holds the accounts.
        engine: its accounts are armed.
    """

    def __init__(self, plan: ChaosPlan, venue: OutsideVenue, engine: RiskEngine) -> None:
        """Find the processes; see :meth:`start`."""
        calls = engine.calls
        names = [SUPERVISOR, AUDIT, *(account_name(user_id) for user_id in venue.logins)]
        reading = calls.audit.status.options(concurrency_group=READING)
        self._plan = plan
        self._venue = venue
        self._killer = Killer(
            plan,
            venue.connect(),
            ActorProcesses(calls.namespace, names),
            venue.logins,
            {Target.SUPERVISOR: calls.supervisor.accounts.remote, Target.AUDIT: reading.remote},
        )
        self.kills: tuple[Kill, ...] = ()

    def start(self) -> None:
        """Begin to kill."""
        self._killer.start()

    def enough(self) -> None:
        """Kill no more; never waits."""
        self._killer.enough()

    def stop(self) -> None:
        """End the killing, and hear the last of it."""
        self.kills = self._killer.stop()

    def figures(self, found: Gathered, folder: Path, settle_window_ms: float) -> ChaosFigures:
        """Count what it came to; list the kills and write and judge the history in ``folder``."""
        lines = [json.dumps(asdict(kill)) + "\n" for kill in self.kills]
        (folder / KILLS_FILE).write_text("".join(lines), encoding="utf-8")
        venue_books = self._venue.venue_books()
        verdict = write_and_check(
            folder / HISTORY_FILE,
            settle_window_us=round(settle_window_ms * 1_000),
            episodes=found.episodes,
            closes=found.closes,
            books=venue_books,
            heard_us=found.heard_us,
        )
        return chaos_figures(
            self._plan,
            self.kills,
            counts=self._venue.counts(),
            venue_books=venue_books,
            books=found.books,
            episodes=found.episodes,
            closes=found.closes,
            verdict=verdict,
        )
