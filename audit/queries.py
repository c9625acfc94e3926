"""What one can ask the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, or_, select

from audit.records import EventType, Status, is_event_id
from audit.schema import reconciliation_log
from engine import arguments
from engine.clock import to_datetime

LARGEST_LIMIT = 1_000_000
Place: TypeAlias = tuple[int, str, int]
"""Where a record stands in the order of queries: ``occurred_at`` (µs UTC), stream, number."""


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
        statuses: that went this well; empty is all.
        event_ids: these very records; empty is all.
        recorded_since: that the journal had at or after this moment, µs UTC: an old fact may be
            recorded late.
        after: that stand behind this place, in the order of the query: the next page of a long
            answer begins after the last record of the page before.
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
    statuses: tuple[Status, ...] = ()
    recorded_since: int | None = None
    after: Place | None = None
    event_ids: tuple[str, ...] = ()

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
        for event_id in self.event_ids:
            if not is_event_id(event_id):
                arguments.refuse("event_ids", event_id, "each must be a UUID, in small letters")
        for status in self.statuses:
            if status not in tuple(Status):
                arguments.refuse("statuses", status, "each must be 0 ok, 1 warning or 2 failed")
        object.__setattr__(self, "statuses", tuple(Status(status) for status in self.statuses))
        if arguments.positive_integer("limit", self.limit) > LARGEST_LIMIT:
            arguments.refuse("limit", self.limit, f"it must be at most {LARGEST_LIMIT}")
        if self.since is not None and self.until is not None and self.since >= self.until:
            arguments.refuse("until", self.until, f"it must be after since={self.since}")

    def choose(self, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
        """Write the query over ``reconciliation_log``, reading ``columns``, in its order."""
        # By code points: a database's own collation would make its pages overlap or leave gaps
        # where they are joined with another source's.
        stream = _log.stream.collate("C")
        order = (_log.occurred_at, stream, _log.seq)
        statement = select(*columns).where(*self.conditions())
        if self.newest_first:
            statement = statement.order_by(*(column.desc() for column in order))
        else:
            statement = statement.order_by(*order)
        return statement.limit(self.limit)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Write what a record must fulfil, apart from the limit."""
        found: list[ColumnElement[bool]] = []
        for name in ("user_id", "position_id", "trigger_id", "close_id"):
            value = getattr(self, name)
            if value is not None:
                found.append(_log[name] == value)
        if self.user_ids:
            found.append(_log.user_id.in_(self.user_ids))
        if self.event_types:
            found.append(_log.event_type.in_([kind.value for kind in self.event_types]))
        if self.event_ids:
            found.append(_log.event_id.in_(self.event_ids))
        if self.statuses:
            found.append(_log.status.in_([status.value for status in self.statuses]))
        if self.since is not None:
            found.append(_log.occurred_at >= to_datetime(self.since))
        if self.until is not None:
            found.append(_log.occurred_at < to_datetime(self.until))
        if self.recorded_since is not None:
            found.append(_log.recorded_at >= to_datetime(self.recorded_since))
        if self.after is not None:
            # The bound by time alone says nothing new, but a database can skip by it.
            moment = to_datetime(self.after[0])
            found.append(
                _log.occurred_at <= moment if self.newest_first else _log.occurred_at >= moment
            )
            found.append(self._is_behind(self.after))
        return found

    def _is_behind(self, place: Place) -> ColumnElement[bool]:
        moment, stream, seq = to_datetime(place[0]), place[1], place[2]
        name = _log.stream.collate("C")
        if self.newest_first:
            later = or_(name < stream, and_(name == stream, _log.seq < seq))
            return or_(_log.occurred_at < moment, and_(_log.occurred_at == moment, later))
        later = or_(name > stream, and_(name == stream, _log.seq > seq))
        return or_(_log.occurred_at > moment, and_(_log.occurred_at == moment, later))


_log = reconciliation_log.c
