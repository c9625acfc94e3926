"""Engines in processes of their own over a venue outside, and what their processes are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.brokers.port import Side
from engine.simulated.served import (
    PriceSource,
    ServedAccount,
    VenueBehaviour,
    VenuePlan,
    VenueProcess,
)
from tests.cluster.processes import assert_all_end, descendants

_ROOT = Path(__file__).parents[2]
_TICKS = tuple((n * 1_000, 1.1 - n / 1e5, 1.1001 - n / 1e5) for n in range(2_000))
LONGEST_S = 180.0


def venue_of(positions: int, *users: str, **behaviour: Any) -> VenueProcess:
    """Plan a venue of EURUSD accounts with as many positions each; logins count from 1."""
    return VenueProcess(
        VenuePlan(
            prices=PriceSource(symbol="EURUSD", ticks=_TICKS),
            accounts=tuple(
                ServedAccount(
                    login=login,
                    user_id=user_id,
                    deposit=100_000.0,
                    positions=((Side.LONG, 0.1),) * positions,
                )
                for login, user_id in enumerate(users, start=1)
            ),
            behaviour=VenueBehaviour(**behaviour),
        )
    )


def write_plan(
    folder: Path, venue: VenueProcess, steps: Sequence[Sequence[Any]], **settings: float
) -> Path:
    """Write what an engine's process is to do; its data stay in ``folder``."""
    plan = folder / f"plan-{uuid4().hex}.json"
    accounts = {a.user_id: venue.options(a.login, timeout_s=5.0) for a in venue.plan.accounts}
    text = json.dumps(
        {
            "data_dir": str(folder / "data"),
            "namespace": f"test-{uuid4().hex}",
            "settings": settings,
            "accounts": accounts,
            "steps": steps,
        }
    )
    plan.write_text(text, encoding="utf-8")
    return plan


def start_engine(plan: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a process that carries the plan out on a Ray of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment.setdefault("RAY_AUTH_MODE", "disabled")
    with plan.with_suffix(".stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.engine_child", str(plan)],
            env={**environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=_ROOT,
            start_new_session=True,
        )


def answers_of(plan: Path, **variables: str) -> list[Any]:
    """Let an engine's process carry the plan out, and return the steps' answers."""
    with start_engine(plan, **variables) as child:
        stdout, _ = child.communicate(timeout=LONGEST_S)
    said = plan.with_suffix(".stderr").read_text(encoding="utf-8", errors="replace")
    assert child.returncode == 0, said[-4_000:]
    return read_answers(stdout.splitlines())


def read_answers(lines: Sequence[str]) -> list[Any]:
    """Read answers from what a process has printed; Ray's own lines are left out."""
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def kill_everything(pid: int) -> None:
    """End a process and all that it has brought about by SIGKILL, whatever they are doing."""
    family = descendants(pid)
    assert len(family) > 4, f"Ray's processes were not found below {pid}: {family}"
    for each in (pid, *family):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    assert_all_end(family)
