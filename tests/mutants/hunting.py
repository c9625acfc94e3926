"""Hunting a mutant: the simulation runs over a copy that has it, until a check fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Mutant, copy_tree

ROOT = Path(__file__).resolve().parents[2]
"""Of the source tree."""
_SEED_BY_SEED = Path(__file__).with_name("seed_by_seed.py")


@dataclass(frozen=True, slots=True)
class Hunt:
    """What came of hunting one mutant."""

    name: str
    harm: str
    is_caught: bool
    seeds: int
    """How many seeds were run, the one that caught it included."""
    seed: int | None
    """The seed that caught it."""
    promises: tuple[str, ...]
    """The checks that failed there."""
    seconds: float
    unsound_seeds: tuple[int, ...] = ()
    """Seeds that the unchanged engine does not pass either; they do not count as caught."""


def hunt(mutant: Mutant, *, seeds: int, first: int = 1, root: Path = ROOT) -> Hunt:
    """Put a mutant into a copy of the tree and look for it.

    A seed counts only if the unchanged engine passes it.

    Args:
        mutant: the fault.
        seeds: how many to run at most.
        first: the first of them.
        root: of the source tree.

    Raises:
        Moved: the mutant does not fit the source.
        RuntimeError: the simulation did not run.
    """
    begun = time.monotonic()
    unsound: list[int] = []
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        whole = copy_tree(root, Path(folder, "whole"))
        copy = copy_tree(root, Path(folder, "mutant"))
        mutant.put_into(copy)
        start, end = first, first + seeds
        while start < end:
            seed, promises = _first_violation(copy, start, end)
            if seed is None:
                break
            if _first_violation(whole, seed, seed + 1)[0] is None:
                return Hunt(
                    mutant.name,
                    mutant.harm,
                    True,
                    seed - first + 1,
                    seed,
                    promises,
                    time.monotonic() - begun,
                    tuple(unsound),
                )
            unsound.append(seed)
            start = seed + 1
    seconds = time.monotonic() - begun
    return Hunt(mutant.name, mutant.harm, False, seeds, None, (), seconds, tuple(unsound))


def _first_violation(tree: Path, first: int, end: int) -> tuple[int | None, tuple[str, ...]]:
    command: Sequence[str] = (sys.executable, str(_SEED_BY_SEED), str(tree), str(first), str(end))
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the simulation did not run in the copy:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seed"], tuple(found["promises"])
