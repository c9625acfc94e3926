"""Reconciling from a trail: what it says of an account's closes is read and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.differences import AccountReconciled
from audit.queries import RecordQuery
from audit.reconciling import Claim, Horizon, claim_of, compare, horizon_of
from audit.records import EventType, storable
from audit.sightings import sighting_of
from audit.trail import Trail, records
from engine.brokers.port import Deal


@dataclass(frozen=True, slots=True)
class AccountClaims:
    """What a trail says of one account that its broker can confirm."""

    claims: tuple[Claim, ...]
    seen_open: frozenset[int]
    """Identifiers of positions that the engine has seen open."""
    horizon: Horizon


def account_claims(trail: Trail, user_id: str) -> AccountClaims | None:
    """Read what the store says of an account; ``None`` if it never heard of it.

    Raises:
        ValueError: ``user_id`` is empty.
        AuditError: the records cannot be read.
    """
    name = storable(user_id)
    first = next(records(trail, RecordQuery(user_id=name), most=1), None)
    if first is None:
        return None
    closed = RecordQuery(user_id=name, event_types=(EventType.POSITION_CLOSED,))
    claims = tuple(map(claim_of, records(trail, closed)))
    seen = {int(claim.position) for claim in claims if claim.position.isdecimal()}
    met = RecordQuery(user_id=name, event_types=(EventType.ACCOUNT_SEEN,))
    for record in records(trail, met):
        seen.update(position.identifier for position in sighting_of(record).positions)
    return AccountClaims(claims, frozenset(seen), horizon_of(first.occurred_at, claims))


def reconciled(trail: Trail, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
    """Compare what a trail says of an account with its broker's deals.

    Each difference says whether an earlier run has put it on record.

    Args:
        trail: all acknowledged records.
        user_id: the account.
        deals: its deals since the horizon of :func:`account_claims`, oldest first.

    Raises:
        AuditError: the records cannot be read.
    """
    read = account_claims(trail, user_id)
    if read is None:
        return AccountReconciled(user_id, deals=len(deals))
    found = compare(user_id, read.claims, deals, horizon=read.horizon, seen_open=read.seen_open)
    noted = RecordQuery(user_id=storable(user_id), event_types=(EventType.RECONCILE_DIFFERENCE,))
    known = {record.event_id for record in records(trail, noted)} if found else set()
    return AccountReconciled(
        user_id,
        closes=len(read.claims),
        deals=len(deals),
        begins_ms=read.horizon.begins_ms,
        differences=tuple(replace(one, is_new=one.event_id not in known) for one in found),
    )
