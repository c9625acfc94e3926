"""One entry of the audit trail, and the bytes that stand for it.

The *content* of a record is everything that its writer states. It is written as one canonical
JSON object (:mod:`audit.canonical`); those bytes are hashed, travel, and are kept by the journal.
The store keeps the same content in typed columns, from which the bytes can be made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID, uuid5

from audit import canonical

_EVENTS = UUID("3f0f8f8e-2c1d-5a55-9d0a-6a2f7f1e8b41")


class EventType(StrEnum):
    """What a record states."""

    POSITION_CLOSED = "position_closed"
    """The final result of one close, success or failure: ``status`` and ``outcome`` tell."""
    CLOSE_ANSWERED = "close_answered"
    """A new key was given the full success that another key's close of the position had."""
    TRIGGER_ACCEPTED = "trigger_accepted"
    """An episode was opened; the whole trigger is in ``meta_data``."""
    CLOSE_ACCEPTED = "close_accepted"
    """A direct close was accepted as an episode; the whole of it is in ``meta_data``."""
    TRIGGER_REFUSED = "trigger_refused"
    """A trigger was not acted on; ``description`` says why."""
    EPISODE_FINISHED = "episode_finished"
    """An episode ended, flat or with residuals."""
    ACCOUNT_SEEN = "account_seen"
    """What an account held when an episode met it, or when it was done with it."""
    RECONCILE_DIFFERENCE = "reconcile_difference"
    """The store and the broker's deals tell different things."""
    GUARD_ALERT = "guard_alert"
    """A guard warned without closing anything."""
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_REMOVED = "account_removed"
    ACCOUNT_LOCKED = "account_locked"
    """Flat is to stay flat: what appears on the account is swept until it is released."""
    ACCOUNT_RELEASED = "account_released"
    STREAM_OPENED = "stream_opened"
    """A writer began a new life."""
    STREAM_CLOSED = "stream_closed"
    """A writer ended its life cleanly, with nothing under way."""
    REVERSAL = "reversal"
    """An opposite position stood on a netting account after a close."""
    PENDING_CANCELLED = "pending_cancelled"
    """The broker was asked to cancel an order that waited for its price: ``status`` tells how
    that went."""
    ACTOR_KILLED = "actor_killed"
    """The watchdog ended an account's actor that had fallen silent."""
    ENGINE_STARTED = "engine_started"
    ENGINE_STOPPED = "engine_stopped"


class Status(IntEnum):
    """How well it went, for filtering and for exit statuses."""

    OK = 0
    WARNING = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One fact. Times are integers, microseconds since 1970 UTC.

    ``stream``, ``seq``, ``incarnation``, ``predecessor``, ``version`` and ``config_hash`` are
    stamped by the stream's :class:`audit.chain.ChainWriter` when the record is sealed; until then
    they are empty. ``recorded_at`` (when the journal had it) and ``late`` (written by an
    incarnation that had been replaced) are the journal's, not the writer's: they are no part of
    the content, and ``None`` and ``False`` until a record is read back.
    """

    event_id: str
    """Deterministic UUID: a fact that is recorded twice has the same id."""
    event_type: EventType
    user_id: str
    occurred_at: int
    status: Status = Status.OK
    description: str = ""
    trigger_id: str | None = None
    close_id: str | None = None
    position_id: str | None = None
    """As the caller named it; the broker's stable number is ``meta_data["position"]``."""
    ticket: int | None = None
    symbol: str | None = None
    volume: float | None = None
    closed_price: float | None = None
    pnl: float | None = None
    close_reason: str | None = None
    outcome: str | None = None
    attempts: int | None = None
    initiator: str | None = None
    """The guard or person behind it."""
    sent_at: int | None = None
    """When the first request left this process."""
    filled_at: int | None = None
    """When this process learned of the last fill. The broker's own times are in ``meta_data``:
    its clock need not be UTC."""
    request_fingerprint: str | None = None
    meta_data: Mapping[str, Any] = field(default_factory=dict)
    stream: str = ""
    seq: int = 0
    incarnation: int = 0
    predecessor: str | None = None
    """On a stream's first record: ``<stream>@<seq>`` of the owner's previous stream, whose hash
    stands in the chain as this record's ``prev_hash``."""
    version: str = ""
    config_hash: str = ""
    recorded_at: int | None = None
    late: bool = False


def event_id(event_type: EventType, *natural: str | int) -> str:
    """Name a fact by what makes it that fact: its kind and its natural identity.

    The parts are joined as a JSON list, so that no choice of texts makes two facts collide.
    """
    return str(uuid5(_EVENTS, json.dumps([event_type.value, *natural], ensure_ascii=True)))


def storable(text: str) -> str:
    """Return ``text`` as every database takes it: NUL and lone surrogates made visible."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def optional_text(text: object) -> str | None:
    """Return ``text`` as :func:`storable` does, and nothing for an empty one or another type."""
    return storable(text) if text and isinstance(text, str) else None


def optional_real(number: float | None) -> float | None:
    """Return ``number`` as a column holds it: a float, and nothing for one that is not finite."""
    return None if number is None or not math.isfinite(number) else float(number)


_TYPE = b'"event_type":"'


def type_marks(*types: EventType) -> tuple[bytes, ...]:
    """Prepare event types for :func:`has_type`."""
    return tuple(f'{kind}"'.encode() for kind in types)


def has_type(body: bytes, marks: tuple[bytes, ...]) -> bool:
    """Say whether a record is of one of these types, without taking its bytes apart.

    Args:
        body: canonical bytes of a record.
        marks: from :func:`type_marks`.
    """
    # The first bare occurrence is the content's own: see parts_of_body.
    return body.startswith(marks, body.find(_TYPE) + len(_TYPE))


_META = ',"meta_data":'
_AFTER = ',"occurred_at":'
_META_BYTES = _META.encode()
_AFTER_BYTES = _AFTER.encode()

BEFORE_META = (
    "attempts",
    "close_id",
    "close_reason",
    "closed_price",
    "config_hash",
    "description",
    "event_id",
    "event_type",
    "filled_at",
    "incarnation",
    "initiator",
)
"""Names of the content's members, in canonical order, up to ``meta_data``."""
AFTER_META = (
    "occurred_at",
    "outcome",
    "pnl",
    "position_id",
    "predecessor",
    "request_fingerprint",
    "sent_at",
    "seq",
    "status",
    "stream",
    "symbol",
    "ticket",
    "trigger_id",
    "user_id",
    "version",
    "volume",
)
"""Names of the content's members, in canonical order, after ``meta_data``."""
MEMBERS = BEFORE_META + AFTER_META
"""Names of all of the content's members but ``meta_data``, in canonical order."""


_TEXT: frozenset[type] = frozenset({str})
_OPTIONAL_TEXT: frozenset[type] = frozenset({str, type(None)})
_WHOLE: frozenset[type] = frozenset({int})
_OPTIONAL_WHOLE: frozenset[type] = frozenset({int, type(None)})
_OPTIONAL_REAL: frozenset[type] = frozenset({float, type(None)})
KINDS: dict[str, frozenset[type]] = {
    **dict.fromkeys((*BEFORE_META, *AFTER_META), _OPTIONAL_TEXT),
    **dict.fromkeys(("config_hash", "description", "event_id", "event_type"), _TEXT),
    **dict.fromkeys(("stream", "user_id", "version"), _TEXT),
    **dict.fromkeys(("incarnation", "occurred_at", "seq", "status"), _WHOLE),
    **dict.fromkeys(("attempts", "filled_at", "sent_at", "ticket"), _OPTIONAL_WHOLE),
    **dict.fromkeys(("closed_price", "pnl", "volume"), _OPTIONAL_REAL),
}
"""Types that each of the :data:`MEMBERS` may have."""
_good_shapes: set[tuple[type, ...]] = set()
"""Types of members that were found good before: few differ, and each is checked once."""
_MOST_SHAPES = 10_000
LARGEST = 2**63 - 1
_SHAPE = bytes.maketrans(b"0123456789abcdefx", b"x" * 16 + b"?")
_UUID = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


def check_parts(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    """Refuse content that a typed column could not hold exactly.

    Args:
        before: members as JSON gives them, in the order of :data:`BEFORE_META`.
        after: members as JSON gives them, in the order of :data:`AFTER_META`.

    Raises:
        ValueError: naming the member and its value.
    """
    if tuple(before) != BEFORE_META or tuple(after) != AFTER_META:
        raise ValueError("the record lacks members, or has others than this version knows")
    values = (*before.values(), *after.values())
    shape = tuple(map(type, values))
    if shape not in _good_shapes:
        _check_kinds(before, after)
        if len(_good_shapes) < _MOST_SHAPES:
            _good_shapes.add(shape)
    for value, kind in zip(values, shape, strict=True):
        if kind is int and not -LARGEST <= value <= LARGEST:  # type: ignore[operator]  # an int
            raise ValueError(f"{value!r} is not allowed: a number must fit into 64 bits")
    text = "".join([value for value in values if type(value) is str])
    if ("\0" in text) or not text.isascii():
        _check_texts({**before, **after})
    if not is_event_id(str(before["event_id"])):
        raise ValueError(f"event_id={before['event_id']!r} is not allowed: it must be a UUID")


def is_event_id(text: str) -> bool:
    """Whether ``text`` has the form of an event's name: a UUID in small letters."""
    return text.encode("ascii", "replace").translate(_SHAPE) == _UUID


def _check_kinds(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    for name, value in (*before.items(), *after.items()):
        if type(value) not in KINDS[name]:
            allowed = " or ".join(sorted(one.__name__ for one in KINDS[name]))
            raise ValueError(f"{name}={value!r} is not allowed: it must be {allowed}")


def _check_texts(members: Mapping[str, object]) -> None:
    for name, value in members.items():
        if isinstance(value, str) and storable(value) != value:
            raise ValueError(
                f"{name}={value!r} is not allowed: it holds a NUL character or a lone surrogate"
            )


def body_of_parts(before: Mapping[str, object], meta: str, after: Mapping[str, object]) -> bytes:
    """Join the content's three parts to the canonical bytes; ``meta`` is taken verbatim.

    Args:
        before: the members named in :data:`BEFORE_META`.
        meta: canonical JSON of ``meta_data``.
        after: the members named in :data:`AFTER_META`.
    """
    head = canonical.encode(before)
    return (head[:-1] + _META + meta + "," + canonical.encode(after)[1:]).encode("ascii")


def parts_of_body(body: bytes) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Take canonical bytes apart, the reverse of :func:`body_of_parts`.

    The cuts are exact: within a JSON text no quotation mark stands bare, so neither separator can
    be part of a value, and only ``meta_data`` is nested.

    Raises:
        ValueError: it is not a record's body.
    """
    start = body.find(_META_BYTES)
    end = body.rfind(_AFTER_BYTES)
    if start < 0 or end < start:
        raise ValueError(f"body={body[:80]!r}... is not a record: it lacks its members")
    before = canonical.decode(str(body[:start], "ascii") + "}")
    after = canonical.decode("{" + str(body[end + 1 :], "ascii"))
    return before, str(body[start + len(_META_BYTES) : end], "ascii"), after


def record_of(body: bytes, *, recorded_at: int | None = None, late: bool = False) -> AuditRecord:
    """Read a record back from its canonical bytes.

    Raises:
        ValueError: it is not a record's body, or names an event type of a newer version.
    """
    before, meta, after = parts_of_body(body)
    before["event_type"] = EventType(before["event_type"])
    after["status"] = Status(after["status"])
    return AuditRecord(
        **before, meta_data=canonical.decode(meta), **after, recorded_at=recorded_at, late=late
    )
