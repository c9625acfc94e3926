"""The same seed gives the same history, byte for byte, in any process."""

from __future__ import annotations

import os
import subprocess
import sys

from actors.simulation.run import run_seed

SEEDS = (11, 12, 13)
PROGRAM = f"""
import sys
from actors.simulation.run import run_seed
for seed in {SEEDS}:
    outcome = run_seed(seed, keep_history=True)
    sys.stdout.write(outcome.history.lines())
"""


def history_under(hash_seed: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    return done.stdout


def test_two_processes_with_other_hash_seeds_give_the_same_bytes() -> None:
    first, second = history_under("1"), history_under("4711")
    assert first.count(b"\n") > 100
    assert first == second


def test_what_ran_before_makes_no_difference() -> None:
    alone = run_seed(12, keep_history=True).history
    run_seed(99)
    again = run_seed(12, keep_history=True).history
    assert alone is not None
    assert again is not None
    assert alone.lines() == again.lines()
