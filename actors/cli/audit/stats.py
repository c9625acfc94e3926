"""``risk-engine audit stats``: what the records add up to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from actors.cli.audit.filters import Filters, Since, Types, Until, User
from actors.cli.audit.listing import STYLES, WORDS
from actors.cli.audit.moments import iso
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
from audit.records import EventType, Status
from audit.totals import Group, summed
from engine.clock import SystemClock

_SHOWN = 20
"""Accounts in the table; all of them are in the JSON."""


def stats(
    user: User = None,
    types: Types = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Count records by kind, status and account, and add closes up.

    --json prints one object.

    Exit status: 0 it worked; 2 an option is wrong; 3 the records cannot be
    read; 130 interrupted.
    """
    with explained():
        query = Filters(user=user, types=types, since=since, until=until).query(
            SystemClock().wall_us()
        )
        with reached(Whereabouts(data_dir, store, namespace, address)) as trail:
            source, groups = trail.source, trail.groups(query)
            apart = len(trail.set_aside())
        data = figures(groups, source, apart)
        if as_json:
            print(json.dumps(data))
        else:
            _print(PipedConsole(), data)


def figures(groups: Sequence[Group], source: str, set_aside: int) -> dict[str, Any]:
    """Arrange totals for printing, and as the object that ``--json`` prints."""
    closes = [group for group in groups if group.event_type is EventType.POSITION_CLOSED]
    records = sum(group.records for group in groups)
    users: dict[str, list[Group]] = {}
    for group in groups:
        users.setdefault(group.user_id, []).append(group)
    return {
        "source": source,
        "records": records,
        "set_aside": set_aside,
        "accounts": len([user for user in users if user]),
        "first_at": iso(min(group.first_us for group in groups)) if groups else None,
        "last_at": iso(max(group.last_us for group in groups)) if groups else None,
        "lag_mean_s": round(sum(g.lags_us for g in groups) / records / 1e6, 6) if records else None,
        "lag_longest_s": max(g.longest_lag_us for g in groups) / 1e6 if groups else None,
        "types": _counted(groups, lambda group: group.event_type.value),
        "closes": {
            outcome: _closes([group for group in closes if group.outcome == outcome])
            for outcome in sorted({group.outcome or "" for group in closes})
        },
        "users": {
            user: {**_by_status(of_user), **_closes(g for g in of_user if g in closes)}
            for user, of_user in sorted(users.items())
        },
        "pnl": summed(group.pnl for group in closes),
    }


def _counted(groups: Iterable[Group], key: Callable[[Group], str]) -> dict[str, dict[str, int]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(key(group), []).append(group)
    return {name: _by_status(found[name]) for name in sorted(found)}


def _by_status(groups: Iterable[Group]) -> dict[str, int]:
    counts = {"records": 0, **dict.fromkeys(WORDS.values(), 0)}
    for group in groups:
        counts["records"] += group.records
        counts[WORDS[group.status]] += group.records
    return counts


def _closes(groups: Iterable[Group]) -> dict[str, Any]:
    chosen = list(groups)
    return {
        "closes": sum(group.records for group in chosen),
        "volume": summed(group.volume for group in chosen),
        "pnl": summed(group.pnl for group in chosen),
    }


def _print(console: Console, data: dict[str, Any]) -> None:
    head = Table.grid(padding=(0, 2))
    head.add_column(width=14, style="dim")
    head.add_column(overflow="fold")
    head.add_row("source", data["source"])
    head.add_row("records", f"{data['records']:,} of {data['accounts']:,} accounts")
    if data["records"]:
        head.add_row("span", f"{data['first_at']}\n{data['last_at']}")
        head.add_row(
            "on disk after",
            f"{data['lag_mean_s']:.3f} s on average, {data['lag_longest_s']:.3f} s at most",
        )
    if data["set_aside"]:
        head.add_row("set aside", f"[bold red]{data['set_aside']:,} records")
    console.print(head)
    if not data["records"]:
        return
    _print_counts(console, "records by type", "type", data["types"])
    if data["closes"]:
        table = _table("closes by outcome", "outcome", "closes", "lots", "P&L")
        for outcome, row in data["closes"].items():
            table.add_row(
                outcome, f"{row['closes']:,}", f"{row['volume']:,.2f}", f"{row['pnl']:,.2f}"
            )
        console.print(table)
    table = _table("accounts", "account", "records", "warning", "failed", "closes", "P&L")
    for user, row in list(data["users"].items())[:_SHOWN]:
        table.add_row(
            user or "(engine)",
            *(f"{row[name]:,}" for name in ("records", "warning", "failed", "closes")),
            f"{row['pnl']:,.2f}",
        )
    console.print(table)
    if len(data["users"]) > _SHOWN:
        console.print(f"... and {len(data['users']) - _SHOWN:,} accounts more: see --json")


def _print_counts(console: Console, title: str, what: str, rows: dict[str, dict[str, int]]) -> None:
    table = _table(title, what, "records", *WORDS.values())
    for name, row in rows.items():
        cells = (
            f"[{STYLES[status]}]{row[word]:,}" if row[word] else "-"
            for status, word in ((Status(n), WORDS[Status(n)]) for n in range(3))
        )
        table.add_row(name, f"{row['records']:,}", *cells)
    console.print(table)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table
