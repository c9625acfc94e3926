"""``python -m benchmarks``: every figure, or those whose names are given."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Protocol

import ray

from actors.ray_runtime import join_or_start
from benchmarks import absent_store, adapter, hanging_account, ingest, liquidation, verifying


class Result(Protocol):
    """What a benchmark has to tell."""

    def lines(self) -> list[str]:
        """Return it as text."""
        ...


FIGURES: dict[str, Callable[[], Result]] = {
    "fan-out": liquidation.fan_out,
    "latency": liquidation.with_latency,
    "adapter": adapter.close_cost,
    "hang": hanging_account.others_time_to_flat,
    "store-away": absent_store.makespan,
    "ingest": ingest.ingest,
    "verify": verifying.verify,
}

ON_RAY = {"fan-out", "latency", "hang", "store-away"}


def main() -> int:
    """Run benchmarks; the exit status says nothing about goals: machines are noisy."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("figures", nargs="*", help=f"of {', '.join(FIGURES)}; default: all")
    parser.add_argument("--rows", type=int, default=verifying.ROWS, help="how many to verify")
    options = parser.parse_args()
    if options.rows < 1:
        parser.error(f"--rows={options.rows} is not allowed: it must be at least 1")
    chosen = options.figures or list(FIGURES)
    figures = dict(FIGURES)
    figures["verify"] = partial(verifying.verify, options.rows)
    if unknown := set(chosen) - set(FIGURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, Ray {ray.__version__}")
    try:
        for name in chosen:
            if name in ON_RAY:
                join_or_start("local")
            print("\n".join(figures[name]().lines()), flush=True)
    finally:
        ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
