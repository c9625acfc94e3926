"""Each way in which store and book can disagree is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from actors.messages import AccountBook
from actors.stress.verifying import compare, read_books
from audit.records import AuditRecord, Status
from engine.brokers.port import ClosedBy, Deal
from engine.outcomes import Outcome
from tests.unit.stress.samples import TAG, book, entry, exit_deal, record

AGREED = book(entry(), exit_deal())


def test_a_close_that_both_know_alike_is_no_disagreement() -> None:
    assert compare([AGREED], [record()]).count == 0


def test_a_position_that_nobody_closed_is_no_disagreement() -> None:
    assert compare([book(entry(), open_positions=1)], []).count == 0


def test_a_failed_close_that_the_book_does_not_have_is_no_disagreement() -> None:
    failed = record(
        outcome=Outcome.REJECTED.value, status=Status.FAILED, closed_price=None, pnl=None
    )
    assert compare([book(entry(), open_positions=1)], [failed]).count == 0


def test_a_close_by_somebody_else_needs_no_record_of_ours() -> None:
    by_hand = exit_deal(comment="", closed_by=ClosedBy.HAND)
    assert compare([book(entry(), by_hand)], []).count == 0


@pytest.mark.parametrize(
    ("books", "records", "said"),
    [
        pytest.param([AGREED], [], "has 0 records", id="a close without record"),
        pytest.param(
            [AGREED],
            [record(outcome=Outcome.UNKNOWN.value, status=Status.FAILED)],
            "has 0 records",
            id="a close that the store holds for failed",
        ),
        pytest.param(
            [AGREED],
            [record(), record(event_id="another")],
            "has 2 records",
            id="two records of one close",
        ),
        pytest.param(
            [book(entry())],
            [record()],
            "0.0 lots closed in the book, 1.0 in the store",
            id="a record of a close that was not",
        ),
        pytest.param([book()], [record()], "have no deal", id="a record of no position"),
        pytest.param(
            [AGREED],
            [record(), record(user_id="bob")],
            "bob: 1 records of position 7 have no deal",
            id="a record of an unknown account",
        ),
        pytest.param(
            [AGREED],
            [record(closed_price=1.19001)],
            "closed at 1.19 in the book, 1.19001 in the store",
            id="another price",
        ),
        pytest.param([AGREED], [record(closed_price=None)], "None in the store", id="no price"),
        pytest.param([AGREED], [record(pnl=-999.99)], "P&L -1000.0 in the book", id="another P&L"),
        pytest.param([AGREED], [record(pnl=None)], "None in the store", id="no P&L"),
        pytest.param(
            [book(entry(commission=-3.5), exit_deal(commission=-3.5))],
            [record()],
            "P&L -1007.0 in the book",
            id="commission forgotten",
        ),
    ],
)
def test_a_disagreement_is_counted_and_said(
    books: Sequence[AccountBook], records: Sequence[AuditRecord], said: str
) -> None:
    found = compare(books, records)
    assert found.count == len(found.examples) >= 1
    assert said in found.examples[0]


def test_a_thousandth_of_a_cent_is_no_disagreement() -> None:
    assert compare([AGREED], [record(pnl=-1_000.00001)]).count == 0


def test_many_disagreements_are_counted_and_the_first_are_told() -> None:
    deals = [deal for n in range(1, 31) for deal in (entry(n), exit_deal(n))]
    found = compare([book(*deals)], [])
    assert found.count == 30
    assert len(found.examples) == 20


def test_the_books_are_counted() -> None:
    found = read_books(
        [
            book(
                *(entry(1), exit_deal(1)),
                *(entry(2), exit_deal(2, profit=250.5)),
                *(entry(3),),
                *(entry(4), exit_deal(4, comment="", closed_by=ClosedBy.HAND)),
                open_positions=1,
            )
        ]
    )
    assert (found.positions, found.closed, found.double_closes) == (4, 2, 0)
    assert found.open_by_user == {"ann": 1}
    assert found.total_pnl == -749.5


def test_deals_of_the_account_itself_are_no_positions() -> None:
    assert read_books([book(entry(0, profit=10_000.0))]).positions == 0


def test_a_half_closed_position_is_not_closed() -> None:
    found = read_books([book(entry(), exit_deal(volume=0.5), open_positions=1)])
    assert (found.closed, found.double_closes) == (0, 0)


@pytest.mark.parametrize(
    "deals",
    [
        pytest.param((entry(), exit_deal(), exit_deal(ticket=99)), id="more went out than came in"),
        pytest.param(
            (entry(), exit_deal(), entry(8, comment=TAG)), id="a close that opened a position"
        ),
    ],
)
def test_a_double_close_is_seen_in_the_book(deals: tuple[Deal, ...]) -> None:
    assert read_books([book(*deals)]).double_closes == 1


def parts(**changed: Any) -> list[AuditRecord]:
    """Records of a position that was closed in two parts, the second of them changed."""
    last: dict[str, Any] = {"volume": 0.6, "closed_price": 1.18, "pnl": -1_200.0, **changed}
    part = Outcome.PARTIAL.value
    return [record(volume=0.4, closed_price=1.19, pnl=-400.0, outcome=part), record(**last)]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        pytest.param(parts(), None, id="agreed"),
        pytest.param(parts(volume=0.5), "1.0 lots closed in the book, 0.9 in the store", id="lots"),
        pytest.param(parts(closed_price=1.17), "closed at 1.184 in the book", id="price"),
        pytest.param(parts(pnl=-1_100.0), "P&L -1600.0 in the book, -1500.0", id="P&L"),
        pytest.param([record(), record()], "2 records of closes, 2 of them full", id="two full"),
    ],
)
def test_a_position_closed_in_parts_is_added_up(
    records: Sequence[AuditRecord], said: str | None
) -> None:
    deals = book(
        entry(),
        exit_deal(volume=0.4, profit=-400.0),
        exit_deal(volume=0.6, price=1.18, profit=-1_200.0),
    )
    found = compare([deals], records)
    assert (found.count > 0) == (said is not None)
    assert said is None or said in found.examples[0]
