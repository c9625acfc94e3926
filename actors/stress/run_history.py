"""The history of a run: what clients called and were told, and what the venue's book shows.

It is written to the run's folder, and judged by a checker that shares no code with the engine.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from actors.messages import EpisodeReport
from audit.history import (
    Completion,
    FinalRecord,
    HistoryWriter,
    Invocation,
    PositionResult,
    VenueDeal,
    VenuePosition,
    VenueRequest,
    Verdict,
    check,
)
from audit.records import AuditRecord
from engine.brokers.mt5_reading import read_deals
from engine.brokers.port import Deal, DealEntry
from engine.identity import close_tag
from engine.models import BulkCloseResult, CloseResult
from engine.simulated.served import ServedRequest, VenueBook

HISTORY_FILE = "history.jsonl"


def write_and_check(
    path: Path,
    *,
    settle_window_us: int,
    episodes: Sequence[EpisodeReport],
    closes: Sequence[AuditRecord],
    books: Mapping[str, VenueBook],
    heard_us: int,
) -> Verdict:
    """Write a run's history and judge it.

    Args:
        path: the file to write.
        settle_window_us: how long a request may still act.
        episodes: what was told of each trigger.
        closes: the store's final records of closes.
        books: the venue's, by user.
        heard_us: when the episodes' reports had all come back, µs UTC.
    """
    with path.open("w", encoding="utf-8") as stream:
        writer = HistoryWriter(stream, settle_window_us=settle_window_us, records=True)
        for user_id, book in books.items():
            _write_book(writer, user_id, book)
        for episode in episodes:
            _write_call(writer, episode, heard_us)
        for record in closes:
            writer.record(_final_record(record))
    return check(writer.history())


def _write_call(writer: HistoryWriter, episode: EpisodeReport, heard_us: int) -> None:
    bulk: BulkCloseResult = pickle.loads(episode.results)
    writer.invoked(
        Invocation(
            call=episode.trigger_id,
            client="stress",
            user_id=episode.user_id,
            kind="liquidate",
            key=episode.trigger_id,
            invoked_us=episode.triggered_us,
        )
    )
    writer.completed(
        Completion(
            call=episode.trigger_id,
            status="fail" if episode.failed or episode.error else "ok",
            completed_us=heard_us,
            results=tuple(_result(episode, result) for result in bulk.results),
            error=episode.error,
        )
    )


def _result(episode: EpisodeReport, result: CloseResult) -> PositionResult:
    return PositionResult(
        position=result.position_id,
        key=episode.trigger_id,
        outcome=result.outcome.value,
        success=result.success,
        volume=result.volume,
        closed_price=result.closed_price,
        pnl=result.pnl,
        close_id=result.close_id,
        tag=close_tag(UUID(result.close_id)) if result.close_id else "",
        durable=episode.durable and bool(result.close_id),
    )


def _final_record(record: AuditRecord) -> FinalRecord:
    meta = record.meta_data
    outcome: Any = record.outcome  # the checker refuses one that it does not know
    return FinalRecord(
        user_id=record.user_id,
        position=str(meta["position"]),
        key=meta["key"],
        outcome=outcome,
        volume=record.volume or 0.0,
        event_id=record.event_id,
        tag=close_tag(UUID(record.close_id)) if record.close_id else "",
    )


def _write_book(writer: HistoryWriter, user_id: str, book: VenueBook) -> None:
    executed = {data["ticket"]: at for data, at in zip(book.deals, book.deals_us, strict=True)}
    open_lots = {data["identifier"]: float(data["volume"]) for data in book.positions}
    requests = [entry for entry in book.requests if not entry.is_duplicate]
    arrived = {ticket: entry.arrived_us for entry in requests for ticket in entry.deals}
    for deal in read_deals([SimpleNamespace(**data) for data in book.deals]):
        if deal.entry is DealEntry.IN:
            writer.position(
                VenuePosition(
                    user_id=user_id,
                    identifier=deal.identifier,
                    symbol=deal.symbol,
                    side=deal.side.value,
                    mode="hedging",
                    open_volume=open_lots.get(deal.identifier, 0.0),
                )
            )
        writer.deal(_deal(user_id, deal, arrived.get(deal.ticket), executed[deal.ticket]))
    for entry in requests:
        if entry.request.get("position"):
            writer.request(_request(user_id, entry))


def _deal(user_id: str, deal: Deal, arrived_us: int | None, executed_us: int) -> VenueDeal:
    entry: Any = deal.entry.name.lower()
    who: Any = deal.closed_by.value
    return VenueDeal(
        user_id=user_id,
        ticket=deal.ticket,
        identifier=deal.identifier,
        entry=entry,
        side=deal.side.value,
        volume=deal.volume,
        price=deal.price,
        time_us=deal.time_ms * 1_000,
        order=deal.order,
        comment=deal.comment,
        who=who,
        result=deal.profit + deal.commission + deal.swap + deal.fee,
        arrived_us=arrived_us,
        executed_us=executed_us,
    )


def _request(user_id: str, entry: ServedRequest) -> VenueRequest:
    is_done = bool(entry.deals)
    answered_first = entry.answered_us is not None and (
        entry.executed_us is None or entry.answered_us < entry.executed_us
    )
    return VenueRequest(
        user_id=user_id,
        ticket=int(entry.request["position"]),
        tag=str(entry.request.get("comment", "")),
        volume=float(entry.request.get("volume", 0.0)),
        arrived_us=entry.arrived_us,
        answered_us=entry.answered_us,
        executed_us=entry.executed_us if is_done else None,
        executed_volume=entry.lots,
        conclusive=not answered_first,
    )
