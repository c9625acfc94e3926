"""``python -m tests.simulation.machine``: stories without a test runner, over any source tree.

The tree is the one on ``PYTHONPATH``; a put-in fault is looked for so. Failing stories are not
shrunk. Exit status 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine.engine_machine import EngineMachine


def main(given: Sequence[str] | None = None) -> int:
    """Run stories until one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.machine", description=__doc__)
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--steps", type=int, default=14, help="of each, at most")
    options = parser.parse_args(given)
    profile = settings(
        max_examples=options.stories,
        stateful_step_count=options.steps,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(EngineMachine, settings=profile)
    except AssertionError as broken:
        print(broken)
        return 1
    print(f"{options.stories} stories: no promise was broken.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
