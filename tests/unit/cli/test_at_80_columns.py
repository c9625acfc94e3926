"""Whatever records hold, what people see fits into 80 columns, and nothing of it is lost."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from actors.cli.audit.listing import Listing
from actors.cli.audit.sheet import print_sheet
from audit.chain import ChainWriter
from audit.events import trigger_accepted
from audit.records import AuditRecord, Status
from audit.rows import Row, row_of
from tests.unit.audit.samples import NOW, a_close, a_trigger


def row(record: AuditRecord) -> Row:
    writer = ChainWriter("account:u1:1", version="0.1.0", config_hash="c0ffee")
    return row_of(writer.seal(record), NOW + 5_000, True)


LONG = "x" * 200
RECORDS = [
    a_close(),
    replace(a_close(), user_id=LONG, position_id=LONG, description=f"[bold]{LONG}", symbol=LONG),
    replace(a_close(), status=Status.FAILED, close_id=LONG, meta_data={LONG: {"deep": [LONG]}}),
    replace(a_close(), meta_data={"attempts": [{"text": LONG}], "deals": [{"profit": None}]}),
    replace(a_close(), meta_data={"attempts": [1, "a"], "deals": "none"}),
    trigger_accepted(a_trigger(), occurred_at=NOW),
]


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=80, color_system=None), text


@pytest.mark.parametrize("record", RECORDS)
def test_a_list_fits(record: AuditRecord) -> None:
    to, text = console()
    Listing(to).show([row(record)])
    assert max(map(len, text.getvalue().splitlines())) <= 80


@pytest.mark.parametrize("record", RECORDS)
def test_a_sheet_fits(record: AuditRecord) -> None:
    to, text = console()
    print_sheet(to, row(record))
    assert max(map(len, text.getvalue().splitlines())) <= 80


def test_a_list_names_time_state_account_and_what_to_show() -> None:
    to, text = console()
    listing = Listing(to)
    listing.show([row(a_close())])
    listing.show([row(a_close())])
    first, *rest = [line.rstrip() for line in text.getvalue().splitlines()]
    assert first == "2015-02-25 (UTC)"
    assert rest[:3] == [
        "10:30:00.123457 ok      position_closed  u1  p1  late",
        " " * 24 + "done: long EURCHF 0.5 lots at 1.20001, P&L -13.34",
        " " * 24 + "close 00000000-0000-5000-8000-000000000001",
    ]
    assert rest[3:] == rest[:3], "the date is said once"


def test_a_description_is_no_markup() -> None:
    to, text = console()
    Listing(to).show([row(replace(a_close(), description="[bold]not[/bold] [red"))])
    assert "[bold]not[/bold] [red" in text.getvalue()


def test_a_sheet_holds_every_field_and_the_evidence() -> None:
    to, text = console()
    sealed = row(a_close())
    print_sheet(to, sealed)
    sheet = text.getvalue()
    for value in (
        "position_closed ok",
        "2015-02-25T10:30:00.123457Z",
        "account:u1:1",
        "trigger-1",
        "Request executed",
        "10009",
        "7001",
        "0.5/0.5",
        "drawdown critical: equity 7,999.12 of peak 10,000.00",
    ):
        assert value in " ".join(sheet.split())
    whole = "".join(sheet.split())
    assert sealed[4].hex() in whole
