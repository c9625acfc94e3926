"""Records as a table, for people: readable at 80 columns, whatever the records hold."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.records import AuditRecord, EventType, Status
from audit.rows import Row, record_of_row
from engine.clock import to_datetime

WORDS = {Status.OK: "ok", Status.WARNING: "warning", Status.FAILED: "failed"}
STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}
_EPISODES = frozenset(
    {
        EventType.TRIGGER_ACCEPTED,
        EventType.CLOSE_ACCEPTED,
        EventType.TRIGGER_REFUSED,
        EventType.EPISODE_FINISHED,
    }
)


class Listing:
    """Prints records as they come; a new date is said once.

    Args:
        console: where.
    """

    def __init__(self, console: Console) -> None:
        """Nothing is printed yet."""
        self._console = console
        self._date = ""

    def show(self, rows: Iterable[Row]) -> None:
        """Print some more."""
        for row in rows:
            self._show(record_of_row(row))

    def _show(self, record: AuditRecord) -> None:
        moment = to_datetime(record.occurred_at)
        date = moment.strftime("%Y-%m-%d")
        if date != self._date:
            self._date = date
            self._console.print(Text(f"{date} (UTC)", style="bold underline"))
        line = Table.grid(padding=(0, 1))
        line.add_column(width=15, no_wrap=True)
        line.add_column(width=7, no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(
            Text(moment.strftime("%H:%M:%S.%f"), style="dim"),
            Text(WORDS[record.status], style=STYLES[record.status]),
            _what(record),
        )
        self._console.print(line)


def _what(record: AuditRecord) -> Text:
    text = Text(record.event_type.value, style="bold")
    if record.user_id:
        text.append(f"  {record.user_id}", style="cyan")
    if record.position_id:
        text.append(f"  {record.position_id}", style="")
    if record.late:
        text.append("  late", style="yellow")
    if record.description:
        text.append(f"\n{record.description}", style="not bold")
    name = name_of(record)
    if name:
        text.append(f"\n{name}", style="dim not bold")
    return text


def name_of(record: AuditRecord) -> str:
    """Return by what ``audit show`` finds a record together with those that belong to it."""
    if record.event_type in _EPISODES and record.trigger_id:
        return f"trigger {record.trigger_id}"
    if record.close_id:
        return f"close {record.close_id}"
    return ""
