"""The group of commands ``risk-engine audit``, one a module."""

from __future__ import annotations

import typer

from actors.cli.audit.export import export
from actors.cli.audit.history import check_history
from actors.cli.audit.replay import replay
from actors.cli.audit.search import search
from actors.cli.audit.show import show
from actors.cli.audit.stats import stats
from actors.cli.audit.tail import tail
from actors.cli.audit.verify import verify

audit = typer.Typer(
    name="audit",
    help="Read what was recorded, and judge it.",
    no_args_is_help=True,
    add_completion=False,
)
audit.command()(tail)
audit.command()(show)
audit.command()(search)
audit.command()(export)
audit.command()(stats)
audit.command()(replay)
audit.command()(verify)
audit.command("check-history")(check_history)


@audit.callback()
def _group() -> None:
    """Keep sub-commands by their names, however few there are."""
