"""The group of commands ``risk-engine audit``, one a module."""

from __future__ import annotations

import typer

from actors.cli.audit.history import check_history

audit = typer.Typer(
    name="audit",
    help="Read what was recorded, and judge it.",
    no_args_is_help=True,
    add_completion=False,
)
audit.command("check-history")(check_history)


@audit.callback()
def _group() -> None:
    """Keep sub-commands by their names, however few there are."""
