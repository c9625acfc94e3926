"""The group of commands ``risk-engine audit``, one a module."""

from __future__ import annotations

import typer

from actors.cli.audit.certificate import certificate
from actors.cli.audit.history import check_history
from actors.cli.audit.reconcile import reconcile

audit = typer.Typer(
    name="audit",
    help="Read what was recorded, and judge it.",
    no_args_is_help=True,
    add_completion=False,
)
audit.command("certificate")(certificate)
audit.command("check-history")(check_history)
audit.command("reconcile")(reconcile)


@audit.callback()
def _group() -> None:
    """Keep sub-commands by their names, however few there are."""
