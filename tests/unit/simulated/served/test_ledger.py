"""Counting from a book: what a double close looks like, and what only resembles one."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated.api_table import STRUCT_FIELDS, Struct, TradeDeal
from engine.simulated.served.ledger import AccountCounts, RequestLedger, request_from_data

IN, OUT, INOUT = 0, 1, 2
EXPERT, SL = 3, 4


def deal(ticket: int, entry: int, lots: float, **more: Any) -> Struct:
    values = dict.fromkeys(STRUCT_FIELDS["TradeDeal"], 0) | {
        "ticket": ticket,
        "entry": entry,
        "volume": lots,
        "position_id": 1,
        "reason": EXPERT,
        "comment": "",
        **more,
    }
    return TradeDeal(tuple(values.values()))


def ledger() -> RequestLedger:
    book = RequestLedger(5, own_deals={1})
    book.arrive(1, 4711, {"position": 1, "comment": "TAG"}, 10)
    return book


def counted(*deals: Struct) -> AccountCounts:
    return ledger().count(deals, (), 0)


def test_a_clean_close_in_two_parts() -> None:
    counts = counted(deal(1, IN, 0.3), deal(2, OUT, 0.1), deal(3, OUT, 0.2))
    assert counts.double_closes == ()
    assert (counts.executed, counts.closes, counts.closed_lots) == (2, 2, 0.3)


def test_more_closed_than_was_open() -> None:
    counts = counted(deal(1, IN, 0.3), deal(2, OUT, 0.3), deal(3, OUT, 0.2))
    (double,) = counts.double_closes
    assert (double.login, double.identifier, double.deal, double.lots) == (5, 1, 3, 0.2)


def test_a_close_that_opened_a_position() -> None:
    counts = counted(
        deal(1, IN, 0.3), deal(2, OUT, 0.3), deal(3, IN, 0.3, position_id=3, comment="TAG")
    )
    assert [(double.deal, double.lots) for double in counts.double_closes] == [(3, 0.3)]


def test_a_close_that_turned_a_position() -> None:
    counts = counted(deal(1, IN, 0.1), deal(2, INOUT, 0.3, comment="TAG"))
    assert [(double.deal, double.lots) for double in counts.double_closes] == [(2, 0.2)]


def test_a_reversal_that_somebody_wanted_is_none() -> None:
    counts = counted(deal(1, IN, 0.1), deal(2, INOUT, 0.3), deal(3, OUT, 0.2, comment="TAG"))
    assert counts.double_closes == ()


def test_stops_and_the_venues_own_deals_are_counted_apart() -> None:
    counts = counted(deal(1, IN, 0.3), deal(2, OUT, 0.3, reason=SL))
    assert (counts.executed, counts.closed_by_others) == (0, 1)


def test_deposits_are_no_trades() -> None:
    assert counted(deal(9, IN, 0.0, type=2)).executed == 0


def test_only_those_who_waited_die_in_flight() -> None:
    book = ledger()
    answered = book.arrive(1, 4711, {}, 11)
    answered.answered_us = 12
    book.arrive(2, 4712, {}, 13)
    book.connection_closed(1, 20, is_death=True)
    assert [(death.number, death.client_pid, death.closed_us) for death in book.deaths] == [
        (1, 4711, 20)
    ]
    assert book.count((), (), 0).in_flight == 1


def test_counts_and_requests_survive_their_journey() -> None:
    book = ledger()
    book.connection_closed(1, 20, is_death=True)
    counts = book.count((deal(1, IN, 0.1), deal(2, OUT, 0.2)), (), 0)
    assert counts.double_closes
    assert AccountCounts.from_data(counts.to_data()) == counts


def test_a_request_needs_its_fields() -> None:
    with pytest.raises(KeyError):
        request_from_data({"number": 1})
