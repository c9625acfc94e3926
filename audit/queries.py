"""What one can ask the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from audit.records import EventType
from audit.schema import reconciliation_log
from engine import arguments
from engine.clock import to_datetime

LARGEST_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """A choice of records; what is left out does not restrict it.

    Args:
        user_id: of one account.
        position_id: of one position, as the caller named it.
        trigger_id: of one episode.
        close_id: of one close.
        event_types: of these kinds; empty is all.
        since: that occurred at or after, µs UTC.
        until: that occurred before, µs UTC.
        user_ids: of any of these accounts; empty is all.
        limit: no more than this many.
        newest_first: order by time of occurrence, downward instead of upward.

    Raises:
        ValueError: naming the field and the value.
    """

    user_id: str | None = None
    position_id: str | None = None
    trigger_id: str | None = None
    close_id: str | None = None
    event_types: tuple[EventType, ...] = ()
    since: int | None = None
    until: int | None = None
    limit: int = 10_000
    newest_first: bool = False
    user_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would silently choose nothing."""
        for name in ("user_id", "position_id", "trigger_id", "close_id"):
            value = getattr(self, name)
            if value is not None:
                arguments.nonempty_text(name, value)
        for user_id in self.user_ids:
            arguments.nonempty_text("user_ids", user_id)
        kinds = tuple(arguments.member("event_types", kind, EventType) for kind in self.event_types)
        object.__setattr__(self, "event_types", kinds)
        if arguments.positive_integer("limit", self.limit) > LARGEST_LIMIT:
            arguments.refuse("limit", self.limit, f"it must be at most {LARGEST_LIMIT}")
        if self.since is not None and self.until is not None and self.since >= self.until:
            arguments.refuse("until", self.until, f"it must be after since={self.since}")

    def choose(self, columns: list[ColumnElement[Any]]) -> Select[Any]:
        """Write the query over ``reconciliation_log``, reading ``columns``."""
        log = reconciliation_log.c
        statement = select(*columns)
        for name in ("user_id", "position_id", "trigger_id", "close_id"):
            value = getattr(self, name)
            if value is not None:
                statement = statement.where(log[name] == value)
        if self.user_ids:
            statement = statement.where(log.user_id.in_(self.user_ids))
        if self.event_types:
            kinds = [kind.value for kind in self.event_types]
            statement = statement.where(log.event_type.in_(kinds))
        if self.since is not None:
            statement = statement.where(log.occurred_at >= to_datetime(self.since))
        if self.until is not None:
            statement = statement.where(log.occurred_at < to_datetime(self.until))
        order = (log.occurred_at, log.stream, log.seq)
        if self.newest_first:
            return statement.order_by(*(column.desc() for column in order)).limit(self.limit)
        return statement.order_by(*order).limit(self.limit)
