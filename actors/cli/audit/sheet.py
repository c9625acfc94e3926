"""One record on a sheet: every field, the attempts and deals of a close as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.cli.audit.lines import data_of
from actors.cli.audit.listing import STYLES, WORDS
from actors.cli.audit.moments import iso
from audit.records import Status
from audit.rows import Row
from engine.brokers.port import DealEntry

_FIRST = (
    "description", "user_id", "position_id", "ticket", "symbol", "outcome", "volume",
    "closed_price", "pnl", "close_reason", "attempts", "initiator", "occurred_at", "sent_at",
    "filled_at", "recorded_at", "trigger_id", "close_id", "event_id",
)  # fmt: skip
_LAST = (
    "stream", "seq", "incarnation", "predecessor", "late", "request_fingerprint", "version",
    "config_hash", "hash_version", "prev_hash", "hash",
)  # fmt: skip
_TABLES = ("attempts", "deals")


def print_sheet(console: Console, row: Row) -> None:
    """Print everything that a record holds; empty fields are left out."""
    data = data_of(row)
    status = Status(data["status"])
    title = Text(data["event_type"], style="bold")
    title.append(f"  {WORDS[status]}", style=STYLES[status])
    console.rule(title, align="left")
    meta: Mapping[str, Any] = data["meta_data"]
    _print_fields(console, {name: data[name] for name in _FIRST})
    if _is_list_of_objects(meta.get("attempts")):
        _print_attempts(console, meta["attempts"])
    if _is_list_of_objects(meta.get("deals")):
        _print_deals(console, meta["deals"])
    # What stands in a column of its own, word for word, is not said twice.
    more = {
        name: value
        for name, value in meta.items()
        if not (name in _TABLES and _is_list_of_objects(value))
        and (name not in data or data[name] != value)
    }
    if more:
        console.print(Text("meta_data", style="bold"))
        _print_fields(console, more)
    console.print(Text("chain", style="bold"))
    _print_fields(console, {name: data[name] for name in _LAST})
    console.print()


def _is_list_of_objects(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and bool(value)
        and not isinstance(value, str)
        and all(isinstance(item, Mapping) for item in value)
    )


def _print_fields(console: Console, fields: Mapping[str, Any]) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=23, overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            text = value if isinstance(value, str) else json.dumps(value)
            grid.add_row(Text(name, style="dim"), Text(text))
    console.print(grid)


def _print_attempts(console: Console, attempts: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="attempts", title_justify="left", title_style="bold", box=None)
    for name in ("#", "sent at (UTC)", "ms", "verdict", "code", "lots", "price", "answer"):
        right = name in ("#", "ms", "code", "lots", "price")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for one in attempts:
        sent, answered = one.get("sent_at"), one.get("answered_at")
        is_known = isinstance(sent, int) and isinstance(answered, int)
        table.add_row(
            _cell(one.get("number")),
            Text(iso(sent)[11:-1] if isinstance(sent, int) else "-"),
            Text(f"{(answered - sent) / 1000:.1f}" if is_known else "-"),  # type: ignore[operator]  # both are integers
            _cell(one.get("verdict")),
            _cell(one.get("code")),
            Text(f"{_plain(one.get('volume'))}/{_plain(one.get('volume_asked'))}"),
            _cell(one.get("price")),
            _cell(one.get("text")),
        )
    console.print(table)


def _print_deals(console: Console, deals: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="deals", title_justify="left", title_style="bold", box=None)
    names = ("ticket", "order", "entry", "side", "volume", "price", "profit", "commission", "swap")
    for name in names:
        left = name in ("entry", "side")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for one in deals:
        cells = {**one, "entry": _entry(one.get("entry"))}
        table.add_row(*(_cell(cells.get(name)) for name in names))
    console.print(table)


def _entry(number: object) -> object:
    known = {entry.value: entry.name.lower() for entry in DealEntry}
    return known.get(number, number) if isinstance(number, int) else number


def _cell(value: object) -> Text:
    return Text(_plain(value))


def _plain(value: object) -> str:
    if value is None or value == "":
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
