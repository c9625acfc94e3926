"""Run by itself over a copy of the source tree: seed after seed, to the first violation.

Its one line of output is JSON: ``seed`` (``null`` if none was violated) and ``promises``.
The tree to run is the one on ``PYTHONPATH``; nothing of the checkout is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(tree: str, first: str, last: str) -> None:
    """Run seeds ``first`` to ``last`` (excluded) of the engine in ``tree``."""
    import actors
    from actors.simulation.run import run_seed

    assert actors.__file__ is not None
    if not Path(actors.__file__).resolve().is_relative_to(Path(tree).resolve()):
        raise SystemExit(f"the engine comes from {actors.__file__}, not from {tree}")
    for seed in range(int(first), int(last)):
        # A run that crashes catches nothing: the fault is to break a promise, not the program.
        promises = list(dict.fromkeys(v.promise for v in run_seed(seed).violations))
        if promises:
            print(json.dumps({"seed": seed, "promises": promises}))
            return
    print(json.dumps({"seed": None, "promises": []}))


if __name__ == "__main__":
    main(*sys.argv[1:])
