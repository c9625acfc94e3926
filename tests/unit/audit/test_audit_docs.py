"""The pages about the audit say what the code does."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateColumn

from audit import canonical
from audit.differences import Difference, DifferenceKind, difference_record
from audit.events import (
    actor_killed,
    close_accepted,
    episode_finished,
    pending_cancelled,
    reversal,
    trigger_accepted,
)
from audit.records import AFTER_META, BEFORE_META, AuditRecord, EventType
from audit.rows import COLUMNS
from audit.schema import reconciliation_log
from audit.sightings import Moment, account_seen
from engine.brokers.port import AccountState, MarginMode, PendingOrder, Position, Side
from engine.mandates import DirectClose
from engine.sighting import Sighting
from tests.unit.audit.samples import a_close, a_shared_answer, a_trigger

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "audit-record.md").read_text("utf-8")
CHAINED = "prev_hash"
"""Hashed before the content, not in it."""


def part(title: str, level: int = 2) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(
        rf"^#{{{level}}} {title}\n(.*?)(?=^#{{1,{level}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"no heading {title!r}"
    return found[1]


def marked(name: str) -> str:
    """The code between two marks."""
    found = re.search(
        rf"<!-- begin: {name} -->\n```\w+\n(.*?)```\n<!-- end: {name} -->", PAGE, re.DOTALL
    )
    assert found is not None
    return found[1]


def columns_on_the_page() -> Mapping[str, list[str]]:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", part("Columns"), re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


def test_every_column_is_on_the_page_and_no_other() -> None:
    assert sorted(columns_on_the_page()) == sorted(reconciliation_log.columns.keys())


@pytest.mark.parametrize("name", COLUMNS)
def test_a_columns_type_is_that_of_the_database(name: str) -> None:
    column = reconciliation_log.columns[name]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # not typed by SQLAlchemy
    _, _, declared = str(CreateColumn(column).compile(dialect=dialect)).lower().partition(" ")
    kind = re.sub(r' collate "\w+"| not null$', "", declared)
    assert columns_on_the_page()[name][0] == kind + ("?" if column.nullable else "")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_said_to_be_hashed_if_it_is(name: str) -> None:
    is_content = name in (*BEFORE_META, "meta_data", *AFTER_META)
    said = columns_on_the_page()[name][1]
    assert (said == "yes") is is_content
    assert (said == "chained") is (name == CHAINED)


def test_every_event_type_is_on_the_page_and_no_other() -> None:
    named = re.findall(r"^### (\w+)$", part("Event types"), re.MULTILINE)
    assert sorted(named) == sorted(kind.value for kind in EventType)


def keys_of(value: object) -> Iterator[str]:
    """Names of all members, those of members too; but not what brokers and callers choose."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            if name not in ("details", "inputs"):
                yield from keys_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from keys_of(item)


def made() -> list[AuditRecord]:
    position = Position(7, 7, "EURUSD", Side.LONG, 1.0, 1.1, 1.1, 0.0, 0.0, 1_424_860_200_123)
    order = PendingOrder(8, "EURUSD", Side.LONG, 1.0, 1.1)
    direct = DirectClose("episode", "ann", "by hand", None)
    account = AccountState(1, "Demo", "EUR", 1.0, 1.0, 0.0, 0.0, 30, MarginMode.HEDGING)
    seen = Sighting(1, account, (position,))
    differs = Difference(DifferenceKind.PNL, "ann", "subject", "text")
    return [
        a_close(),
        a_shared_answer(),
        trigger_accepted(a_trigger(), occurred_at=1),
        close_accepted(direct, occurred_at=1),
        episode_finished("t", "ann", occurred_at=1, closed=1, residual=0),
        account_seen("ann", "t", Moment.BEFORE, seen, incarnation=1),
        difference_record(differs, occurred_at=1),
        reversal("ann", "6", position, occurred_at=1),
        pending_cancelled("ann", order, trigger_id="t", occurred_at=1),
        actor_killed("ann", 1, occurred_at=1, silent_s=1.5),
    ]


@pytest.mark.parametrize("record", made(), ids=lambda record: record.event_type.value)
def test_every_key_of_meta_data_is_on_the_page(record: AuditRecord) -> None:
    text = part("Event types")
    if record.event_type is not EventType.REVERSAL:  # which refers to another part for a position
        text = part(record.event_type.value, level=3)
    named = set(re.findall(r"`(\w+)`", text))
    kept = canonical.decode(canonical.encode_anything(record.meta_data))
    assert set(keys_of(kept)) - named == set()


def checked(row: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the page's own program on a record as the command prints it."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(row) + "\n"))
    monkeypatch.setattr(sys, "stdout", said)
    exec(compile(marked("check"), "audit-record.md", "exec"), {})
    return said.getvalue()


def test_the_example_is_a_real_record(monkeypatch: pytest.MonkeyPatch) -> None:
    row = json.loads(marked("example"))
    assert sorted(row) == sorted(COLUMNS)
    assert checked(row, monkeypatch) == "account:ann:1 3 whole\n"


@pytest.mark.parametrize("name", [*BEFORE_META, *AFTER_META, CHAINED])
def test_the_pages_program_sees_every_hashed_column(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = json.loads(marked("example"))
    is_time = name in ("occurred_at", "sent_at", "filled_at")
    row[name] = None if row[name] is not None else 1
    if is_time:
        row[name] = "2026-11-22T22:51:59.000001Z"
    if name == CHAINED:
        row[name] = "00" * 32
    assert checked(row, monkeypatch).endswith(" ALTERED\n")


def anchors_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


PAGES = ("audit.md", "audit-record.md", "audit-operations.md", "regulation.md")


def test_kinds_of_differences_are_on_the_page() -> None:
    text = part("reconcile_difference", level=3)
    assert [kind for kind in DifferenceKind if f"`{kind.value}`" not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", (DOCS / name).read_text("utf-8"))
    assert links
    for file, anchor in links:
        page = DOCS / (file or name)
        assert page.is_file(), file
        assert not anchor or anchor in anchors_of(page), anchor
