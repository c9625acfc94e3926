"""``risk-engine audit tail``: the last records, and those that come."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated

import typer

from actors.cli.audit.filters import Filters, Statuses, Types, User
from actors.cli.audit.following import Following
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
from audit.rows import Row
from engine.clock import SystemClock


def tail(
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, max=1_000_000, help="How many.")
    ] = 20,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C."),
    ] = False,
    user: User = None,
    types: Types = None,
    statuses: Statuses = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Print the last records, oldest first.

    With --follow, also those that are recorded from then on, in the order
    of recording; it waits for engines to start and to stop. Ctrl-C ends it.

    Exit status: 0 it worked; 2 an option is wrong; 3 the records cannot be
    read; 130 interrupted before anything was followed.
    """
    with explained():
        where = Whereabouts(data_dir, store, namespace, address)
        filters = Filters(user=user, types=types, statuses=statuses)
        query = filters.query(SystemClock().wall_us())
        listing = Listing(PipedConsole())

        def show(rows: Iterable[Row]) -> None:
            if as_json:
                for row in rows:
                    print(line_of(row), flush=follow)
            else:
                listing.show(rows)

        following = Following(lambda: reached(where), where.fingerprint, time.sleep)
        show(following.last(query, number))
        if not follow:
            return
        try:
            for rows in following.new(query):
                show(rows)
        except KeyboardInterrupt:
            return
