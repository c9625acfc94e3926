"""What a choice of records adds up to: counts, outcomes of closes, P&L, times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import ColumnElement, Double, Select, cast, extract, func, select

from audit.queries import RecordQuery
from audit.records import EventType, Status
from audit.rows import COLUMNS, Row
from audit.schema import reconciliation_log

_log = reconciliation_log.c


@runtime_checkable
class Selects(Protocol):
    """A store that can be asked anything of its table; any other is read to its end instead."""

    def select(self, statement: Select[Any]) -> list[tuple[Any, ...]]:
        """Run a statement over ``reconciliation_log``.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class Group:
    """Records that share type, status, account and outcome. Times are µs UTC."""

    event_type: EventType
    status: Status
    user_id: str
    outcome: str | None
    records: int
    volume: float
    """Lots closed."""
    pnl: float
    """Realised, in the account's currency."""
    first_us: int
    """When the first of them occurred."""
    last_us: int
    """When the last of them occurred."""
    longest_lag_us: int
    """The longest time that one of them took from occurring to being on disk."""
    lags_us: int
    """All those times together."""

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What its records share."""
        return self.event_type.value, self.status.value, self.user_id, self.outcome or ""


def grouping(query: RecordQuery) -> Select[Any]:
    """Write the statement that adds a choice of records up, for :func:`groups_of`.

    The limit of the query and its order are passed over.
    """
    keys = (_log.event_type, _log.status, _log.user_id, _log.outcome)
    occurred, recorded = _epoch(_log.occurred_at), _epoch(_log.recorded_at)
    return (
        select(
            *keys,
            func.count(),
            cast(func.coalesce(func.sum(_log.volume), 0), Double),
            cast(func.coalesce(func.sum(_log.pnl), 0), Double),
            func.min(occurred),
            func.max(occurred),
            func.max(recorded - occurred),
            func.sum(recorded - occurred),
        )
        .where(*query.conditions())
        .group_by(*keys)
    )


def groups_of(rows: Iterable[tuple[Any, ...]]) -> list[Group]:
    """Read what the statement of :func:`grouping` gave."""
    return added_up(
        Group(EventType(row[0]), Status(row[1]), *row[2:7], *(round(s * 1e6) for s in row[7:]))
        for row in rows
    )


def groups_in(rows: Iterable[Row]) -> list[Group]:
    """Add rows up one by one."""
    return added_up(map(_alone, rows))


def added_up(groups: Iterable[Group]) -> list[Group]:
    """Join the groups that share a key, ordered by it."""
    found: dict[tuple[str, int, str, str], list[Group]] = {}
    for group in groups:
        same = found.setdefault(group.key, [])
        same.append(group)
        if len(same) == _JOINED:
            same[:] = [_join(same)]
    return [_join(found[key]) for key in sorted(found)]


_JOINED = 1_000
"""Groups that are kept apart until they are joined: sums of many are exact, memory is bounded."""
_READ = [
    COLUMNS.index(name)
    for name in ("event_type", "status", "user_id", "outcome", "volume", "pnl", "occurred_at")
]
_RECORDED = COLUMNS.index("recorded_at")


def _alone(row: Row) -> Group:
    kind, status, user_id, outcome, volume, pnl, at = (row[n] for n in _READ)
    lag = row[_RECORDED] - at
    return Group(
        EventType(kind), Status(status), user_id, outcome, 1, volume or 0.0, pnl or 0.0,
        at, at, lag, lag,
    )  # fmt: skip


def _join(groups: list[Group]) -> Group:
    one = groups[0]
    return Group(
        one.event_type,
        one.status,
        one.user_id,
        one.outcome,
        sum(group.records for group in groups),
        summed(group.volume for group in groups),
        summed(group.pnl for group in groups),
        min(group.first_us for group in groups),
        max(group.last_us for group in groups),
        max(group.longest_lag_us for group in groups),
        sum(group.lags_us for group in groups),
    )


def summed(numbers: Iterable[float]) -> float:
    """Add up to the eighth decimal: databases add floats in an order of their own."""
    return round(math.fsum(numbers), 8)


def _epoch(moment: ColumnElement[Any]) -> ColumnElement[float]:
    """Seconds since 1970, a double: exact to the microsecond when rounded to it."""
    return cast(extract("epoch", moment), Double)
