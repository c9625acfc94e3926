"""Which records: the options that the reading commands share, and the query that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from actors.cli.audit.moments import parse_moment
from audit.queries import RecordQuery
from audit.records import EventType, Status


class StatusName(StrEnum):
    """How well a record's matter went, as one types it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"

    @property
    def status(self) -> Status:
        """The status itself."""
        return Status[self.name]


_PANEL = "Which records"
User: TypeAlias = Annotated[
    str | None, typer.Option("--user", help="Of this account.", rich_help_panel=_PANEL)
]
Position: TypeAlias = Annotated[
    str | None,
    typer.Option("--position", help="Of this position_id.", rich_help_panel=_PANEL),
]
Trigger: TypeAlias = Annotated[
    str | None, typer.Option("--trigger", help="Of this episode.", rich_help_panel=_PANEL)
]
Close: TypeAlias = Annotated[
    str | None, typer.Option("--close", help="Of this close_id.", rich_help_panel=_PANEL)
]
Types: TypeAlias = Annotated[
    list[EventType] | None,
    typer.Option(
        "--type", help="Of this kind; may be repeated.", metavar="TYPE", rich_help_panel=_PANEL
    ),
]
Statuses: TypeAlias = Annotated[
    list[StatusName] | None,
    typer.Option("--status", help="That went so; may be repeated.", rich_help_panel=_PANEL),
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="That occurred at or after: 2026-11-22T10:30, or 2h ago.",
        rich_help_panel=_PANEL,
    ),
]
Until: TypeAlias = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="That occurred before.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True, slots=True)
class Filters:
    """The options as they were given."""

    user: str | None = None
    position: str | None = None
    trigger: str | None = None
    close: str | None = None
    types: Sequence[EventType] | None = None
    statuses: Sequence[StatusName] | None = None
    since: str | None = None
    until: str | None = None

    def query(self, now_us: int, *, newest_first: bool = False) -> RecordQuery:
        """Make the query of them.

        Args:
            now_us: from when ``--since 2h`` counts back, µs UTC.
            newest_first: the order.

        Raises:
            ValueError: naming the option and its value.
        """
        for option in ("user", "position", "trigger", "close"):
            value = getattr(self, option)
            if value is not None and not value.strip():
                raise ValueError(f"--{option}={value!r} is not allowed: it must not be empty")
        since = None if self.since is None else parse_moment("--since", self.since, now_us)
        until = None if self.until is None else parse_moment("--until", self.until, now_us)
        if since is not None and until is not None and since >= until:
            raise ValueError(
                f"--until={self.until!r} is not allowed: it must be after --since={self.since!r}"
            )
        return RecordQuery(
            user_id=self.user,
            position_id=self.position,
            trigger_id=self.trigger,
            close_id=self.close,
            event_types=tuple(self.types or ()),
            statuses=tuple(name.status for name in self.statuses or ()),
            since=since,
            until=until,
            newest_first=newest_first,
        )
