"""Records of what an account held when an episode met it, and when it was done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any

from audit.canonical import read_number, write_number
from audit.records import AuditRecord, EventType, event_id, optional_text, storable
from engine.brokers.port import AccountState, MarginMode, Position, Side
from engine.sighting import Sighting

MOST_POSITIONS = 250
"""Positions that one record lists, the largest by volume; of the others it keeps the number."""

LONGEST_TEXT = 64
"""Characters kept of a comment or a symbol's name: a broker may say anything."""


class Moment(StrEnum):
    """When an account was seen."""

    BEFORE = "before"
    """As the episode met it: the last whole read before its first order."""
    AFTER = "after"
    """When nothing more was to be closed."""


def account_seen(
    user_id: str,
    trigger_id: str,
    moment: Moment,
    seen: Sighting,
    *,
    incarnation: int,
    initiator: str = "",
) -> AuditRecord:
    """Record what an account held; each time that it was seen is a fact of its own.

    Args:
        user_id: the account.
        trigger_id: the episode.
        moment: before its first order or after its last.
        seen: what was read.
        incarnation: the life that read it.
        initiator: the guard or person behind the episode.
    """
    listed = sorted(seen.positions, key=lambda p: (-p.volume, p.identifier))[:MOST_POSITIONS]
    count = len(seen.positions)
    natural = (user_id, trigger_id, moment.value, incarnation, seen.at_us)
    return AuditRecord(
        event_id=event_id(EventType.ACCOUNT_SEEN, *natural),
        event_type=EventType.ACCOUNT_SEEN,
        user_id=storable(user_id),
        occurred_at=seen.at_us,
        description=f"{moment.value}: {count} open",
        trigger_id=optional_text(trigger_id),
        initiator=optional_text(initiator),
        meta_data={
            "moment": moment,
            "account": None if seen.account is None else _account_written(seen.account),
            "open": count,
            "positions": [_position_written(position) for position in listed],
        },
    )


def moment_of(record: AuditRecord) -> Moment:
    """Say when the account was seen.

    Raises:
        ValueError: the record is no sighting.
    """
    return Moment(_meta_of(record)["moment"])


def count_seen(record: AuditRecord) -> int:
    """Count the positions that were open, those among them that the record does not list.

    Raises:
        ValueError: the record is no sighting.
    """
    return int(_meta_of(record)["open"])


def sighting_of(record: AuditRecord) -> Sighting:
    """Read a sighting back: equal to the original, but for texts and positions beyond the limits.

    Raises:
        ValueError: the record is no sighting.
    """
    meta = _meta_of(record)
    account = meta["account"]
    return Sighting(
        record.occurred_at,
        None if account is None else _account_read(account),
        tuple(_position_read(item) for item in meta["positions"]),
    )


_ACCOUNT_NUMBERS = ("balance", "equity", "margin", "margin_level")
_POSITION_NUMBERS = ("volume", "price_open", "price_current", "profit", "swap")


def _meta_of(record: AuditRecord) -> Mapping[str, Any]:
    if record.event_type is not EventType.ACCOUNT_SEEN:
        raise ValueError(
            f"event_type={record.event_type.value!r} is not allowed: "
            f"only {EventType.ACCOUNT_SEEN.value!r} records hold what an account was seen to hold"
        )
    return record.meta_data


def _account_written(account: AccountState) -> dict[str, object]:
    return _written(account, _ACCOUNT_NUMBERS)


def _position_written(position: Position) -> dict[str, object]:
    return _written(position, _POSITION_NUMBERS)


def _written(said: AccountState | Position, numbers: tuple[str, ...]) -> dict[str, object]:
    members: dict[str, object] = {}
    for field in fields(said):
        value = getattr(said, field.name)
        if field.name in numbers:
            value = write_number(value)
        members[field.name] = value[:LONGEST_TEXT] if isinstance(value, str) else value
    return members


def _account_read(item: Mapping[str, Any]) -> AccountState:
    members = {**item, **{name: read_number(item[name]) for name in _ACCOUNT_NUMBERS}}
    return AccountState(**{**members, "margin_mode": MarginMode(item["margin_mode"])})


def _position_read(item: Mapping[str, Any]) -> Position:
    members = {**item, **{name: read_number(item[name]) for name in _POSITION_NUMBERS}}
    return Position(**{**members, "side": Side(item["side"])})
