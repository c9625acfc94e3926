"""``python -m tests.mutants``: hunts the mutants and prints what caught each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from tests.mutants.catalogue import MUTANTS, named
from tests.mutants.hunting import Hunt, hunt
from tests.mutants.mutant import Mutant
from tests.mutants.table import header, line


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[], help="hunt this one; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="give up after so many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="hunts side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args(given)
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}={getattr(options, name)} must be 1 or more")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Hunt, print, and return 1 if a mutant got away."""
    options = _arguments(given)
    try:
        mutants = [named(name) for name in options.only] or list(MUTANTS)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    shown = sys.stderr if options.json else sys.stdout
    print(header(), file=shown, flush=True)
    hunts: list[Hunt] = []
    for found in _hunts(options, mutants):
        hunts.append(found)
        print(line(found), file=shown, flush=True)
    if options.json:
        print(json.dumps({"seeds": options.seeds, "mutants": [asdict(h) for h in hunts]}))
    return 0 if all(h.is_caught for h in hunts) else 1


def _hunts(options: argparse.Namespace, mutants: Sequence[Mutant]) -> Iterator[Hunt]:
    with ThreadPoolExecutor(options.jobs) as pool:
        yield from pool.map(
            lambda mutant: hunt(mutant, seeds=options.seeds, first=options.first), mutants
        )


if __name__ == "__main__":
    sys.exit(main())
