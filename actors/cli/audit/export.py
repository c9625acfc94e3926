"""``risk-engine audit export``: records in a file, for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.audit.filters import (
    Close,
    Filters,
    Position,
    Since,
    Statuses,
    Trigger,
    Types,
    Until,
    User,
)
from actors.cli.audit.reaching import (
    Address,
    DataDir,
    Namespace,
    Store,
    Whereabouts,
    check_target,
    explained,
    reached,
)
from engine.clock import SystemClock


def export(
    file: Annotated[Path, typer.Argument(help="Where to: its name ends in .parquet or .csv.")],
    user: User = None,
    position: Position = None,
    trigger: Trigger = None,
    close: Close = None,
    types: Types = None,
    statuses: Statuses = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many, the oldest. (default: all)")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if there is one.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout: file and count.")
    ] = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Write the records that fit all options into a file, oldest first.

    The file is written on this machine, also if the engine runs on another
    one.

    Exit status: 0 it worked; 2 an option is wrong; 3 the records cannot be
    read, or the file not be written; 130 interrupted, and there is no file.
    """
    from audit import exporting

    with explained():
        exporting.format_of(file)
        check_target("FILE", file, force=force)
        filters = Filters(user, position, trigger, close, types, statuses, since, until)
        query = filters.query(SystemClock().wall_us())
        with reached(Whereabouts(data_dir, store, namespace, address)) as trail:
            count = exporting.export(trail, file, query, most=limit)
        if as_json:
            print(json.dumps({"file": str(file.absolute()), "records": count}))
        else:
            print(f"{count:,} records written to {file}")
