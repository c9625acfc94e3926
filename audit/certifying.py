"""Certifying: an episode's records are gathered, judged and put together as a certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from audit.certificate import Certificate, CertifiedClose, Residual, Seen, Timings, Verdict
from audit.digests import Digests
from audit.errors import UnknownEpisode
from audit.events import mandate_of
from audit.places import (
    ChainCheck,
    Entry,
    RecordSource,
    Verification,
    entry_of,
    verify_streams,
)
from audit.queries import LARGEST_LIMIT, RecordQuery
from audit.records import EventType, storable
from audit.sightings import Moment, moment_of
from audit.trail import Trail
from engine.brokers.port import Position
from engine.clock import to_wall_us
from engine.mandates import Mandate
from engine.models import CloseResult, GuardTrigger

_ACCEPTED = (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)
_KNOWN = (
    *_ACCEPTED,
    EventType.POSITION_CLOSED,
    EventType.CLOSE_ANSWERED,
    EventType.ACCOUNT_SEEN,
    EventType.EPISODE_FINISHED,
)


def certificate_of(
    trail: Trail, trigger_id: str, *, made_at: int, digests: Digests | None = None
) -> Certificate:
    """Make the certificate of one episode, and check the chains that it rests on.

    The whole trail of the account is verified besides: a record that was put in, or a chain that
    was made anew, shows against the journal and the digests only.

    Args:
        trail: all acknowledged records.
        trigger_id: the episode: a trigger's id, or a direct close's own.
        made_at: now, µs UTC.
        digests: what to hold the records against; the engine's own, where it runs, if ``None``.

    Raises:
        UnknownEpisode: no record says that it was accepted; the message says what to do.
        ValueError: ``trigger_id`` is empty.
        AuditError: the records cannot be read.
    """
    heads = trail.heads()  # before the records: what arrives meanwhile is no contradiction
    entries = episode_entries(trail, trigger_id)
    apart = [item.record for item in trail.set_aside()]
    verification = verify_streams(trail, entries, heads=heads, apart=apart)
    if entries:
        user_id = entries[0].record.user_id
        report = trail.verification(user_id=user_id, digests=digests)
        named = f"everything of account {user_id}"
        # That older digests are kept in another file is for `verify` to tell: what is here fits.
        is_earlier = report.damage is not None and report.damage.is_earlier
        problem = None if report.problem is None and is_earlier else report.first_problem
        whole = ChainCheck(named, report.records, problem)
        chains = (*verification.chains, *_named_missing(entries), whole)
        verification = Verification(chains, report.notes)
    return certify(trigger_id, entries, verification, made_at=made_at)


def _named_missing(entries: Sequence[Entry]) -> Iterator[ChainCheck]:
    """Find closes that the end of an episode names and no record holds."""
    held = {entry.record.close_id for entry in _of(entries, EventType.POSITION_CLOSED)}
    missing = sorted(_named_closes(entries) - held)
    for finished in _of(entries, EventType.EPISODE_FINISHED) if missing else ():
        text = f"names {len(missing)} closes that no record holds, the first being {missing[0]}"
        yield ChainCheck(
            finished.record.stream, 0, f"{finished.record.stream}@{finished.record.seq} {text}"
        )


def episode_entries(source: RecordSource, trigger_id: str) -> list[Entry]:
    """Read the records of an episode, and those of others' closes whose answers it shares.

    Raises:
        StoreUnavailable: the records cannot be read.
    """
    name = storable(trigger_id)
    entries = [entry_of(row) for row in source.query(RecordQuery(trigger_id=name, limit=_ALL))]
    closes = _of(entries, EventType.POSITION_CLOSED)
    missing = _named_closes(entries) - {entry.record.close_id for entry in closes}
    if missing:
        query = RecordQuery(
            user_id=entries[0].record.user_id,
            event_types=(EventType.POSITION_CLOSED,),
            limit=_ALL,
        )
        others = map(entry_of, source.query(query))
        entries += [other for other in others if other.record.close_id in missing]
    return entries


def certify(
    trigger_id: str, entries: Sequence[Entry], verification: Verification, *, made_at: int
) -> Certificate:
    """Put an episode's records together as its certificate.

    Args:
        trigger_id: the episode.
        entries: its records, in any order, and the closes of others whose answers it shares.
        verification: what became of checking their chains.
        made_at: now, µs UTC.

    Raises:
        UnknownEpisode: none of the records says that it was accepted.
    """
    own = [entry for entry in entries if entry.record.trigger_id == storable(trigger_id)]
    accepted = _first(own, *_ACCEPTED)
    if accepted is None:
        raise UnknownEpisode(_why_unknown(trigger_id, own))
    mandate = mandate_of(accepted.record)
    finished = _first(own, EventType.EPISODE_FINISHED)
    closes = _closes(entries, own)
    seen = sorted(_of(own, EventType.ACCOUNT_SEEN), key=lambda entry: entry.order)
    before = next((Seen(e) for e in seen if moment_of(e.record) is Moment.BEFORE), None)
    afters = [e for e in seen if moment_of(e.record) is Moment.AFTER]
    last_close = max((c.entry.order for c in closes if not c.is_shared), default=(0, 0))
    after = Seen(afters[-1]) if afters and afters[-1].order > last_close else None
    residuals = _residuals(mandate, closes, after, finished)
    reasons = [
        *_open_reasons(finished),
        *(
            _account_reasons(after)
            if mandate.positions is None
            else _named_reasons(mandate, closes)
        ),
    ]
    if residuals and not reasons:
        reasons.append(f"{_counted(len(residuals), 'position')} left or not surely closed")
    verdict = Verdict.CLOSED if mandate.positions is not None else Verdict.FLAT
    if reasons:
        verdict = Verdict.NOT_FLAT
    return Certificate(
        mandate=mandate,
        verdict=verdict,
        reasons=tuple(reasons),
        before=before,
        after=after,
        closes=closes,
        residuals=residuals,
        incidents=tuple(
            sorted(
                (entry for entry in own if entry.record.event_type not in _KNOWN),
                key=lambda entry: (entry.record.occurred_at, *entry.order),
            )
        ),
        timings=_timings(mandate, accepted, closes, after, finished, verdict),
        accepted=accepted,
        finished=finished,
        verification=verification,
        made_at=made_at,
    )


_ALL = LARGEST_LIMIT


def _why_unknown(trigger_id: str, own: Sequence[Entry]) -> str:
    refused = _first(own, EventType.TRIGGER_REFUSED)
    if refused is not None:
        return (
            f"trigger_id={trigger_id!r} was refused, so nothing was closed for it: "
            f"{refused.record.description}"
        )
    return (
        f"trigger_id={trigger_id!r} names no episode in these records; look the id up with "
        "`risk-engine audit search`, and check that it is the store of the engine that took it"
    )


def _of(entries: Iterable[Entry], *types: EventType) -> list[Entry]:
    return [entry for entry in entries if entry.record.event_type in types]


def _first(entries: Iterable[Entry], *types: EventType) -> Entry | None:
    return min(_of(entries, *types), key=lambda entry: entry.order, default=None)


def _named_closes(entries: Iterable[Entry]) -> set[str]:
    finished = _first(entries, EventType.EPISODE_FINISHED)
    named = () if finished is None else finished.record.meta_data.get("close_ids", ())
    return {name for name in named if name}


def _closes(entries: Sequence[Entry], own: Sequence[Entry]) -> tuple[CertifiedClose, ...]:
    named = _named_closes(own)
    mine = _of(own, EventType.POSITION_CLOSED)
    ids = {entry.record.event_id for entry in mine}
    others = [
        entry
        for entry in _of(entries, EventType.POSITION_CLOSED)
        if entry.record.event_id not in ids and entry.record.close_id in named
    ]
    return tuple(
        CertifiedClose(entry, entry.record.event_id not in ids)
        for entry in sorted([*mine, *others], key=lambda entry: entry.order)
    )


def _open_reasons(finished: Entry | None) -> list[str]:
    if finished is None:
        return ["the episode is still open: no record says that it ended"]
    meta = finished.record.meta_data
    if finished.record.outcome == "flat":
        return []
    reasons = [f"the episode ended with {_counted(int(meta.get('residual') or 0), 'residual')}"]
    return [*reasons, str(meta["error"])] if meta.get("error") else reasons


def _account_reasons(after: Seen | None) -> list[str]:
    if after is None:
        return ["no record shows that the account was read after the last close"]
    if after.open:
        return [f"{_counted(after.open, 'position')} open when the account was last read"]
    return []


def _named_reasons(mandate: Mandate, closes: Sequence[CertifiedClose]) -> list[str]:
    good = [close.result for close in closes if close.result.success]
    lacking = [
        ref.position_id
        for ref in mandate.positions or ()
        if not any(ref.ticket == r.ticket or ref.position_id == r.position_id for r in good)
    ]
    if not lacking:
        return []
    return [f"no record shows that these were closed: {', '.join(lacking)}"]


def _residuals(
    mandate: Mandate,
    closes: Sequence[CertifiedClose],
    after: Seen | None,
    finished: Entry | None,
) -> tuple[Residual, ...]:
    """List what is left by the last read, else what no result shows to be closed."""
    left = {} if after is None else {p.position_id: p for p in after.sighting.positions}
    found: dict[str, Residual] = {}
    for close in closes:
        result, position = close.result, close.evidence.position
        still = left.get(position)
        if result.success and still is None:
            found.pop(position, None)
        elif still is not None or mandate.positions is not None or after is None:
            found[position] = _residual(result, close.evidence.symbol, still)
        else:
            reason = f"{_why(result)}; the last read shows it gone, no deal who closed it"
            found[position] = _residual(result, close.evidence.symbol, None, reason)
    for unasked in left.values():
        found.setdefault(unasked.position_id, _appeared(unasked))
    refused = () if finished is None else finished.record.meta_data.get("refused", ())
    for item in refused:
        name = str(item["position_id"])
        found.setdefault(name, Residual(name, item["ticket"], "", None, str(item["error"])))
    return tuple(found.values())


def _residual(
    result: CloseResult, symbol: str, still: Position | None, reason: str = ""
) -> Residual:
    return Residual(
        result.position_id,
        result.ticket,
        symbol,
        None if still is None else still.volume,
        reason or _why(result),
    )


def _why(result: CloseResult) -> str:
    if result.success:
        return f"{result.outcome.value}, and open when the account was last read"
    return result.error_message or result.outcome.value


def _appeared(position: Position) -> Residual:
    return Residual(
        position.position_id,
        position.ticket,
        position.symbol,
        position.volume,
        "no close of this episode is on record for it: it was opened in the meantime, or not seen",
    )


def _timings(
    mandate: Mandate,
    accepted: Entry,
    closes: Sequence[CertifiedClose],
    after: Seen | None,
    finished: Entry | None,
    verdict: Verdict,
) -> Timings:
    attempts = [a for close in closes if not close.is_shared for a in close.evidence.attempts]
    flat = None
    if verdict is Verdict.FLAT and after is not None:
        flat = after.entry.record.occurred_at
    elif verdict is Verdict.CLOSED:
        flat = max((close.entry.record.occurred_at for close in closes), default=None)
    accepted_at = accepted.record.occurred_at
    return Timings(
        triggered=(
            to_wall_us(mandate.triggered_at) if isinstance(mandate, GuardTrigger) else accepted_at
        ),
        accepted=accepted_at,
        first_order=min((a.sent_us for a in attempts), default=None),
        last_answer=max((a.answered_us for a in attempts), default=None),
        flat=flat,
        finished=None if finished is None else finished.record.occurred_at,
    )


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
