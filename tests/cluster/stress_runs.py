"""Runs of the command ``risk-engine stress``, and what the store of a run holds afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

SMALL = ("--accounts", "3", "--positions", "4", "--latency-ms", "20", "--seed", "5")
"""Options of runs that are compared with each other."""
LONGEST_RUN_S = 180


def command(*options: str, out: Path) -> list[str]:
    """Write the command line as it is installed beside this interpreter."""
    return [str(Path(sys.executable).with_name("risk-engine")), *_stress(options, out)]


def _stress(options: Sequence[str], out: Path) -> list[str]:
    return ["stress", *options, "--json", "--out", str(out)]


def environment(ray_address: str | None) -> dict[str, str]:
    """Copy this process's environment; the run joins a Ray, or starts its own for ``None``."""
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return variables if ray_address is None else {**variables, "RAY_ADDRESS": ray_address}


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended."""

    folder: Path
    status: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed


def run_stress(
    folder: Path, *options: str, ray_address: str | None, prefix: Sequence[str] = ()
) -> Run:
    """Run the command to its end."""
    done = subprocess.run(
        [*prefix, *command(*options, out=folder)],
        env=environment(ray_address),
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_S,
        check=False,
    )
    return Run(folder, done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class StoredTrigger:
    """Why an account was liquidated, and the market at that moment."""

    guard: str
    reason: str
    tick_ms: int
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class StoredClose:
    """How a position ended; the time is the market's."""

    price: float | None
    pnl: float | None
    filled_ms: int
    outcome: str
    volume: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What a run's store holds: triggers by account, closes by account and order of opening."""

    triggers: Mapping[str, StoredTrigger]
    closes: Mapping[tuple[str, int], StoredClose]


def _rows(store: Path, event_type: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return connection.execute(
            "SELECT user_id, ticket, closed_price, pnl, outcome, volume, meta_data "
            "FROM reconciliation_log WHERE event_type = ? ORDER BY user_id, ticket, occurred_at",
            [event_type],
        ).fetchall()


def read_store(folder: Path) -> Stored:
    """Read a run's store, without the engine's own queries."""
    store = folder / "audit.duckdb"
    triggers = {}
    for user_id, *_, text in _rows(store, "trigger_accepted"):
        meta = json.loads(text)
        (tick,) = meta["inputs"]["ticks"]
        assert user_id not in triggers, f"{user_id} was triggered twice"
        triggers[user_id] = StoredTrigger(
            meta["guard"], meta["reason"], tick["time_ms"], tick["bid"], tick["ask"]
        )
    closes: dict[tuple[str, int], StoredClose] = {}
    counts: dict[str, int] = {}
    for user_id, _, price, pnl, outcome, volume, text in _rows(store, "position_closed"):
        number = counts.get(user_id, 0)
        counts[user_id] = number + 1
        (exit_deal,) = [deal for deal in json.loads(text)["deals"] if deal["entry"] != 0]
        closes[user_id, number] = StoredClose(price, pnl, exit_deal["time_ms"], outcome, volume)
    return Stored(triggers, closes)


def count_closes(folder: Path) -> int:
    """Count the final close records in a run's store."""
    return len(_rows(folder / "audit.duckdb", "position_closed"))
