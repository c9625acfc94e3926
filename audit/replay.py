"""From records back to what an account remembers: the closes that earlier lives have answered.

An account's process uses it when its actor begins a life, so it needs no database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from audit.chain import SealedRecord
from audit.closes import evidence_of, result_of
from audit.receipts import AccountHistory
from audit.records import AuditRecord, EventType, has_type, record_of, type_marks
from audit.shared_answers import shared_answer_of
from audit.streams import parse_stream
from engine.models import EarlierAnswer

logger = logging.getLogger(__name__)

ANSWER_EVENTS = (EventType.POSITION_CLOSED, EventType.CLOSE_ANSWERED)
"""Types of the records that say which key has which answer."""


def remembered(history: AccountHistory) -> Iterator[EarlierAnswer]:
    """Read an account's final answers and what they rest on, oldest first.

    Put into :meth:`engine.idempotency.IdempotencyMap.take_up` in this order, they make the map
    that the account's last life had.
    """
    yield from replay(history.closes)


def replay(closes: Iterable[bytes]) -> Iterator[EarlierAnswer]:
    """Read final answers from canonical bodies, in the order given.

    Records of other kinds are passed over, and so are, with an error in the log, those that a
    newer version wrote in a way that this one cannot read: the rest is worth having.

    Args:
        closes: canonical bodies of ``position_closed`` and ``close_answered`` records.
    """
    for body in closes:
        try:
            record = record_of(body)
            if record.event_type not in ANSWER_EVENTS:
                continue
            answer = _answer_of(record)
        except (ValueError, KeyError, TypeError) as error:
            logger.error("audit: record %r... is not understood, passed over: %r", body[:80], error)
            continue
        yield answer


def _answer_of(record: AuditRecord) -> EarlierAnswer:
    if record.event_type is EventType.CLOSE_ANSWERED:
        return shared_answer_of(record)
    return result_of(record), evidence_of(record)


def bodies_as_written(records: Iterable[SealedRecord]) -> tuple[bytes, ...]:
    """Return the bodies of one account's records in the order in which they were written.

    An account's lives follow each other, and a life numbers its records.
    """
    ordered = sorted(records, key=lambda one: (parse_stream(one.stream)[1], one.seq))
    return tuple(one.body for one in ordered)


def with_unwritten(history: AccountHistory, unwritten: Iterable[SealedRecord]) -> AccountHistory:
    """Add what was answered and is not on disk yet: it will be, before anything that follows."""
    closes = [r.body for r in unwritten if has_type(r.body, type_marks(*ANSWER_EVENTS))]
    return replace(history, closes=(*history.closes, *closes))
