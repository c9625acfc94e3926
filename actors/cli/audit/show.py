"""``risk-engine audit show``: whole records, everything in them."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.audit.lines import line_of
from actors.cli.audit.reaching import (
    NOT_FOUND,
    Address,
    AsJson,
    DataDir,
    Namespace,
    PipedConsole,
    Store,
    Whereabouts,
    explained,
    reached,
)
from actors.cli.audit.sheet import print_sheet
from audit.queries import RecordQuery
from audit.records import is_event_id
from audit.rows import EVENT_ID, Row


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="An event_id, a close_id or a trigger_id."),
    ],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Print whole records: the one of an event, or all of a close or of an episode.

    Exit status: 0 it worked; 1 there is no such record; 2 an option is
    wrong; 3 the records cannot be read; 130 interrupted.
    """
    from audit.trail import pages, place_of

    with explained():
        if not name.strip():
            raise ValueError(f"ID={name!r} is not allowed: it must not be empty")
        queries = [RecordQuery(trigger_id=name), RecordQuery(close_id=name)]
        if is_event_id(name.lower()):
            queries.append(RecordQuery(event_ids=(name.lower(),)))
        with reached(Whereabouts(data_dir, store, namespace, address)) as trail:
            found: dict[str, Row] = {
                row[EVENT_ID]: row
                for query in queries
                for rows in pages(trail, query)
                for row in rows
            }
        console = PipedConsole()
        for row in sorted(found.values(), key=place_of):
            if as_json:
                print(line_of(row))
            else:
                print_sheet(console, row)
        if not found:
            typer.echo(
                f"ID={name!r}: no event, close or trigger of that name is recorded", err=True
            )
            raise typer.Exit(NOT_FOUND)
