"""The command line: one sub-command a file."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from actors.cli.audit.commands import audit
from actors.cli.simulate import simulate
from actors.cli.stress import stress

app = typer.Typer(
    name="risk-engine",
    help="Guards watch trading accounts; one actor per account gets them out, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("risk-engine"))
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Take the options that go before a command."""


app.command()(stress)
app.add_typer(audit)
app.command()(simulate)
