"""``risk-engine audit search``: records by account, position, episode, kind, time."""

from __future__ import annotations

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
from actors.cli.audit.lines import line_of
from actors.cli.audit.listing import Listing
from actors.cli.audit.reaching import (
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
from engine.clock import SystemClock

Limit = Annotated[
    int,
    typer.Option(min=1, max=1_000_000, help="At most this many, the oldest.", show_default=True),
]


def search(
    user: User = None,
    position: Position = None,
    trigger: Trigger = None,
    close: Close = None,
    types: Types = None,
    statuses: Statuses = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 1000,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Print the records that fit all options, oldest first.

    Exit status: 0 it worked, also if nothing fits; 2 an option is wrong; 3
    the records cannot be read; 130 interrupted.
    """
    from audit.trail import pages

    with explained():
        filters = Filters(user, position, trigger, close, types, statuses, since, until)
        query = filters.query(SystemClock().wall_us())
        listing = Listing(PipedConsole(soft_wrap=False))
        count, is_cut = 0, False
        with reached(Whereabouts(data_dir, store, namespace, address)) as trail:
            # One more than is shown, to know whether there is more.
            for rows in pages(trail, query, most=limit + 1):
                shown = rows[: limit - count]
                is_cut = len(shown) < len(rows)
                count += len(shown)
                if as_json:
                    for row in shown:
                        print(line_of(row))
                else:
                    listing.show(shown)
        if is_cut:
            typer.echo(
                f"There are more than --limit {limit:,}; raise it or narrow the search", err=True
            )
        elif not count and not as_json:
            typer.echo("No record fits.", err=True)
