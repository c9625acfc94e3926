"""``risk-engine audit check-history``: judge a history of calls and books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.audit.reaching import FOUND, NOT_FOUND, UNREADABLE
from audit.history.checker import check
from audit.history.reading import HistoryError, read_history

ACCEPTED, REFUSED = FOUND, NOT_FOUND


def check_history(
    file: Annotated[Path, typer.Argument(help="A history: JSON lines, see docs/history.md.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdict as one JSON object.")
    ] = False,
) -> None:
    """Say whether a serial, exactly-once explanation of a history exists.

    Exit status: 0 accepted; 1 refused, or undecided because the search was too large; 2 an
    option is wrong; 3 the file cannot be read.
    """
    try:
        verdict = check(read_history(file))
    except (HistoryError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        typer.echo(f"{file}: {reason}", err=True)
        raise typer.Exit(UNREADABLE) from None
    if as_json:
        print(json.dumps(verdict.data()))
    else:
        for violation in verdict.violations:
            print(f"{violation.kind.value}: {violation.text}")
        word = "undecided" if verdict.undecided else "refused"
        print(
            f"{'accepted' if verdict.accepted else word}: {verdict.calls:,} calls, "
            f"{verdict.positions:,} positions, {verdict.requests:,} requests, "
            f"{len(verdict.violations):,} violations"
        )
    raise typer.Exit(ACCEPTED if verdict.accepted else REFUSED)
