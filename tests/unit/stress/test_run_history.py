"""A run's history says what the venue's book and the engine's answers say, and is judged."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from actors.messages import EpisodeReport, EpisodeState
from actors.stress.run_history import write_and_check
from audit.history import Verdict, read_history
from audit.records import AuditRecord
from engine.clock import to_datetime
from engine.identity import close_id, close_tag
from engine.models import BulkCloseResult, CloseResult
from engine.outcomes import Outcome
from engine.simulated.served import ServedRequest, VenueBook
from tests.unit.stress.samples import record

CLOSE = str(close_id("ann", "7", "t1"))
TAG = close_tag(UUID(CLOSE))
RESULT = CloseResult(
    success=True,
    position_id="7",
    ticket=7,
    closed_price=1.19,
    pnl=-1_000.0,
    close_reason="test",
    close_timestamp=to_datetime(3_000_000),
    error_message=None,
    close_id=CLOSE,
    outcome=Outcome.DONE,
    attempts=1,
    volume=1.0,
)
REQUEST = ServedRequest(
    1,
    1,
    10,
    2_000_000,
    {"position": 7, "comment": TAG, "volume": 1.0},
    executed_us=2_500_000,
    deals=(71,),
    lots=1.0,
    answered_us=2_600_000,
)


def deal(ticket: int, entry: int, **changed: Any) -> dict[str, Any]:
    made = {
        "ticket": ticket,
        "order": ticket,
        "position_id": 7,
        "symbol": "EURUSD",
        "entry": entry,
        "type": entry,
        "volume": 1.0,
        "price": 1.2,
        "profit": 0.0,
        "commission": 0.0,
        "swap": 0.0,
        "fee": 0.0,
        "comment": "",
        "reason": 3,
        "time_msc": ticket,
    }
    return {**made, **changed}


EXIT = deal(71, 1, price=1.19, profit=-1_000.0, comment=TAG)
BOOK = VenueBook(
    login=1,
    symbol="EURUSD",
    time_ms=0,
    balance=0.0,
    positions=(),
    pending=(),
    deals=(deal(70, 0), EXIT),
    deals_us=(0, 2_500_000),
    own_deals=(70,),
    requests=(REQUEST,),
)


def final_record(**changed: Any) -> AuditRecord:
    meta = {"position": "7", "key": "t1", "attempts": []}
    return record(**{"close_id": CLOSE, "meta_data": meta, **changed})


def judge(
    path: Path, book: VenueBook = BOOK, *closes: AuditRecord, result: CloseResult = RESULT
) -> Verdict:
    results = pickle.dumps(BulkCloseResult.of("test", [result]))
    told = EpisodeReport(
        "t1", "ann", EpisodeState.FLAT, results, True, 1_000_000, 0, None, None, 1, 1, 0
    )
    return write_and_check(
        path,
        settle_window_us=1_000_000,
        episodes=[told],
        closes=closes or (final_record(),),
        books={"ann": book},
        heard_us=4_000_000,
    )


def kinds(verdict: Verdict) -> set[str]:
    return {violation.kind.value for violation in verdict.violations}


def test_a_close_that_all_tell_alike_is_accepted(tmp_path: Path) -> None:
    verdict = judge(tmp_path / "history.jsonl")
    assert verdict.violations == ()
    assert (verdict.calls, verdict.positions, verdict.requests) == (1, 1, 1)
    written = read_history(tmp_path / "history.jsonl")
    assert [each.tag for each in written.requests] == [TAG]


def test_a_close_that_the_book_does_not_have_is_refused(tmp_path: Path) -> None:
    opened = replace(BOOK, deals=(deal(70, 0),), deals_us=(0,), requests=())
    still_open = replace(opened, positions=({"identifier": 7, "volume": 1.0},))
    assert "lost_close" in kinds(judge(tmp_path / "history.jsonl", still_open))


def test_a_second_exit_is_refused(tmp_path: Path) -> None:
    second = replace(REQUEST, number=2, arrived_us=2_700_000, executed_us=2_800_000)
    second = replace(second, deals=(72,), answered_us=2_900_000)
    twice = replace(
        BOOK,
        deals=(*BOOK.deals, {**EXIT, "ticket": 72, "time_msc": 72}),
        deals_us=(*BOOK.deals_us, 2_800_000),
        requests=(REQUEST, second),
    )
    assert "double_close" in kinds(judge(tmp_path / "history.jsonl", twice))


def test_two_requests_at_once_are_refused(tmp_path: Path) -> None:
    early = replace(REQUEST, number=2, arrived_us=2_100_000, deals=(), lots=0.0)
    both = replace(BOOK, requests=(REQUEST, early))
    assert "unserial_pair" in kinds(judge(tmp_path / "history.jsonl", both))


def test_a_request_within_the_settle_window_of_an_unproven_one_is_refused(tmp_path: Path) -> None:
    unproven = replace(REQUEST, arrived_us=1_800_000, executed_us=None, deals=(), lots=0.0)
    unproven = replace(unproven, answered_us=None)
    for earlier, is_refused in ((unproven, True), (replace(unproven, arrived_us=900_000), False)):
        book = replace(BOOK, requests=(earlier, replace(REQUEST, number=2)))
        found = kinds(judge(tmp_path / "history.jsonl", book))
        assert ("sent_too_early" in found) is is_refused


def test_a_wrong_price_is_refused(tmp_path: Path) -> None:
    wrong = replace(RESULT, closed_price=1.2)
    assert "result_mismatch" in kinds(judge(tmp_path / "history.jsonl", result=wrong))


def test_two_final_records_are_refused(tmp_path: Path) -> None:
    verdict = judge(
        tmp_path / "history.jsonl", BOOK, final_record(), final_record(event_id="another")
    )
    assert "second_record" in kinds(verdict)
