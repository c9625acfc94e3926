"""Writes the measured tables of ``docs/testing.md`` from what the commands themselves printed.

risk-engine simulate --seeds 10000 --json > simulated.json
python -m tests.mutants --json > mutants.json
python -m tests.testing_page --simulated simulated.json --mutants mutants.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "testing.md"


def with_part(page: str, name: str, text: str) -> str:
    """Return the page with what stands between the marks of part ``name`` replaced.

    Raises:
        ValueError: the page does not have the two marks once each, in order.
    """
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page must hold {begin.strip()} and then {end.strip()}, once each")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{text.strip()}\n{end}{after}"


def simulated_part(report: Mapping[str, Any]) -> str:
    """Tell of ``risk-engine simulate --json``: the figures, and fault kind by episode state."""
    table: Mapping[str, Mapping[str, int]] = report["table"]
    states = list(next(iter(table.values())))
    rarest = min(
        (count, kind, state) for kind, row in table.items() for state, count in row.items()
    )
    lines = [
        f"{report['seeds']:,} seeds, {report['simulated_hours']:,.0f} simulated hours, "
        f"{report['seeds_per_s']:.1f} seeds per second, **{report['violations']:,} violations**. "
        f"The rarest meeting is *{rarest[1]}* with *{rarest[2]}*: {rarest[0]:,} times.",
        "",
        f"| fault | {' | '.join(states)} |",
        f"|---|{'---:|' * len(states)}",
    ]
    for kind, row in table.items():
        lines.append(f"| {kind} | {' | '.join(f'{row[state]:,}' for state in states)} |")
    return "\n".join(lines)


def mutants_part(report: Mapping[str, Any]) -> str:
    """Tell of ``python -m tests.mutants --json``: which fault was caught when, by which check."""
    caught = sum(found["is_caught"] for found in report["mutants"])
    lines = [
        f"{caught} of {len(report['mutants'])} faults were caught within {report['seeds']:,} "
        "seeds each.",
        "",
        "| fault | what the engine then does | seeds | caught by |",
        "|---|---|---:|---|",
    ]
    for found in report["mutants"]:
        seeds = f"{found['seeds']:,}" if found["is_caught"] else f"not in {found['seeds']:,}"
        by = ", ".join(found["promises"]) or "-"
        lines.append(f"| {found['name']} | {found['harm']} | {seeds} | {by} |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Rewrite the parts whose reports are given; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing_page", description=__doc__)
    parser.add_argument("--simulated", type=Path, help="output of risk-engine simulate --json")
    parser.add_argument("--mutants", type=Path, help="output of python -m tests.mutants --json")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(given)
    page = options.page.read_text(encoding="utf-8")
    for name, file, tell in (
        ("simulated", options.simulated, simulated_part),
        ("mutants", options.mutants, mutants_part),
    ):
        if file is not None:
            page = with_part(page, name, tell(json.loads(file.read_text(encoding="utf-8"))))
    options.page.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
