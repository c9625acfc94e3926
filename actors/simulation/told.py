"""A run as a history for the checker: what clients asked and were told, and the venue's book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal
from uuid import UUID

from actors.dead_orders import undoing_keys
from actors.simulation.facts import AccountSeen, CallSeen, DealSeen, Run
from actors.simulation.timing import SETTLE_WINDOW_S
from audit.history import (
    Completion,
    FinalRecord,
    Header,
    History,
    Invocation,
    PositionResult,
    VenueDeal,
    VenuePosition,
    VenueRequest,
)
from audit.history.history import Event
from audit.history.writing import line_of
from audit.records import AuditRecord, EventType
from engine.brokers.port import ClosedBy
from engine.identity import close_id, close_tag, is_close_tag
from engine.models import CloseResult

_ENTRIES: dict[int, Literal["in", "out", "inout", "out_by"]] = {
    0: "in",
    1: "out",
    2: "inout",
    3: "out_by",
}
_WHO: dict[int, str] = {
    0: ClosedBy.HAND.value,
    3: ClosedBy.EXPERT.value,
    4: ClosedBy.STOP_LOSS.value,
    5: ClosedBy.TAKE_PROFIT.value,
    6: ClosedBy.STOP_OUT.value,
}


def history_of(run: Run) -> History:
    """Turn the facts of a run into what :func:`audit.history.check` judges."""
    calls = [told for call in run.calls if (told := _as_far_as_it_acted(run, call)) is not None]
    return History(
        header=Header(settle_window_us=round(SETTLE_WINDOW_S * 1e6), requests=True, records=True),
        invocations=(*(_invocation(call) for call in calls), *_died_unwritten(run)),
        completions=tuple(_completion(call) for call in calls if call.ended_us is not None),
        positions=tuple(p for account in run.accounts for p in _positions(account)),
        deals=tuple(_deal(deal) for account in run.accounts for deal in account.deals),
        requests=tuple(r for account in run.accounts for r in _requests(account)),
        records=tuple(
            _record(record)
            for record in run.records
            if record.event_type is EventType.POSITION_CLOSED and record.close_id
        ),
    )


def lines_of(history: History) -> str:
    """Write a history as the file that ``risk-engine audit check-history`` reads."""
    events: tuple[Event, ...] = (
        history.header,
        *history.invocations,
        *history.completions,
        *history.positions,
        *history.deals,
        *history.requests,
        *history.records,
    )
    return "".join(line_of(event) + "\n" for event in events)


def _as_far_as_it_acted(run: Run, call: CallSeen) -> CallSeen | None:
    """Return a call with what it can have touched; ``None`` if that is nothing.

    A trigger that was refused for its name did nothing, unless it had to be made again: its first
    mandate may have died with its supervisor, before it was on disk, and another has taken its
    name since. It may name another account's positions, which stand in no book of its own.
    """
    if call.kind != "trigger" or call.status != "conflict":
        return call
    if not call.was_unanswered:
        return None
    if call.positions is None:
        return call
    account = run.account(call.user_id)
    own = {*map(str, account.aliases.values()), *(str(deal.identifier) for deal in account.deals)}
    positions = tuple(name for name in call.positions if name in own)
    return replace(call, positions=positions) if positions else None


def _died_unwritten(run: Run) -> Iterator[Invocation]:
    """Yield the sweeps that closed something and whose mandates never were on disk.

    No client has asked for them. What they closed has no record if the account died as well.
    """
    asked = {call.episode for call in run.calls}
    for episode in run.episodes:
        if episode.is_on_disk or episode.name in asked:
            continue
        keys = (episode.name, *undoing_keys(episode.name))
        closed = {
            str(deal.identifier)
            for deal in run.account(episode.user_id).deals
            for key in keys
            if deal.comment == close_tag(close_id(episode.user_id, str(deal.identifier), key))
        }
        if closed:
            yield Invocation(
                call=f"sweep {episode.name}",
                client="engine",
                user_id=episode.user_id,
                kind="liquidate",
                key=episode.name,
                invoked_us=episode.begun_us,
                positions=tuple(sorted(closed)),
                ticket=None,
                volume=None,
            )


def _invocation(call: CallSeen) -> Invocation:
    return Invocation(
        call=str(call.number),
        client="simulated",
        user_id=call.user_id,
        kind="close" if call.kind == "close" else "liquidate",
        key=call.key,
        invoked_us=call.begun_us,
        positions=_scope(call),
        ticket=call.ticket if call.kind == "close" else None,
        volume=call.volume,
    )


def _scope(call: CallSeen) -> tuple[str, ...] | None:
    """Return what a call covers: a repeated one covers what the first did, not what is open now."""
    if call.positions is None and call.repeats is not None and call.ended_us is not None:
        return tuple(result.position_id for result in call.results)
    return call.positions


def _completion(call: CallSeen) -> Completion:
    results = tuple(_result(call, result) for result in call.results)
    status: Literal["ok", "fail", "unknown"] = "fail"
    if call.status == "ok" and all(result.success for result in results):
        # An episode that could not even read its account says so as a whole.
        status = "unknown" if call.state == "residual" and not results else "ok"
    elif call.status == "refused" or call.was_unanswered:
        status = "unknown"  # an order may have gone before the error, or before it was asked again
    return Completion(
        call=str(call.number),
        status=status,
        completed_us=call.ended_us or 0,
        results=results,
        error=call.error or None,
    )


def _result(call: CallSeen, result: CloseResult) -> PositionResult:
    return PositionResult(
        position=result.position_id,
        key=call.key or result.position_id,
        outcome=result.outcome.value,
        success=result.success,
        volume=result.volume,
        closed_price=result.closed_price,
        pnl=result.pnl,
        close_id=result.close_id,
        tag=close_tag(UUID(result.close_id)) if result.close_id else "",
        durable=call.is_durable,
    )


def _positions(account: AccountSeen) -> Iterator[VenuePosition]:
    still_open = {position.ticket: position.volume for position in account.open_positions}
    first: dict[int, DealSeen] = {}
    for deal in account.deals:
        first.setdefault(deal.identifier, deal)
    for identifier, deal in first.items():
        alias = account.aliases.get(identifier)
        own = () if alias is None or alias == str(identifier) else (alias,)
        yield VenuePosition(
            user_id=account.user_id,
            identifier=identifier,
            symbol=deal.symbol,
            side="long" if deal.sign > 0 else "short",
            mode="hedging" if account.is_hedging else "netting",
            aliases=own,
            open_volume=still_open.get(identifier, 0.0) if account.is_hedging else None,
        )


def _deal(deal: DealSeen) -> VenueDeal:
    return VenueDeal(
        user_id=deal.user_id,
        ticket=deal.ticket,
        identifier=deal.identifier,
        entry=_ENTRIES[deal.entry],
        side="long" if deal.sign > 0 else "short",
        volume=deal.volume,
        price=deal.price,
        time_us=deal.at_us,
        order=deal.order,
        comment=deal.comment if is_close_tag(deal.comment) else "",
        who=_WHO.get(deal.reason, ClosedBy.OTHER.value),  # type: ignore[arg-type]  # the values
        result=round(deal.result, 2),
        executed_us=deal.at_us,
    )


def _requests(account: AccountSeen) -> Iterator[VenueRequest]:
    for close in account.closes:
        if close.arrived_us is None:
            continue
        yield VenueRequest(
            user_id=account.user_id,
            ticket=close.ticket,
            tag=close.tag,
            volume=close.volume,
            arrived_us=close.arrived_us,
            answered_us=close.arrived_us,
            executed_us=close.executed_us,
            executed_volume=round(close.executed_volume, 8),
            conclusive=close.is_conclusive,
            sent_us=close.sent_us,
            read_us=close.read_at_us,
            sender=close.process,
        )


def _record(record: AuditRecord) -> FinalRecord:
    meta = record.meta_data
    return FinalRecord(
        user_id=record.user_id,
        position=meta["position"],
        key=meta["key"],
        outcome=record.outcome,  # type: ignore[arg-type]  # what a close can end as
        volume=record.volume or 0.0,
        event_id=record.event_id,
        tag=close_tag(UUID(record.close_id)) if record.close_id else "",
    )
