"""The table of hunts, as Markdown that is fit for a terminal, too."""

from __future__ import annotations

from tests.mutants.hunting import Hunt


def header() -> str:
    """Return the table's head."""
    return "| fault | caught | seeds | by |\n|---|---|---|---|"


def line(hunt: Hunt) -> str:
    """Return one hunt's line."""
    caught = "yes" if hunt.is_caught else "**no**"
    by = ", ".join(hunt.promises) or "-"
    return f"| {hunt.name}: {hunt.harm} | {caught} | {hunt.seeds} | {by} |"
