from __future__ import annotations

import pytest

from actors.cli.audit.filters import Filters, StatusName
from audit.queries import RecordQuery
from audit.records import EventType, Status

NOW = 1_795_386_000_000_000


def test_options_make_a_query() -> None:
    filters = Filters(
        "ann",
        "p1",
        "t1",
        "c1",
        [EventType.POSITION_CLOSED],
        [StatusName.FAILED, StatusName.WARNING],
        "2h",
        "1h",
    )
    assert filters.query(NOW, newest_first=True) == RecordQuery(
        user_id="ann",
        position_id="p1",
        trigger_id="t1",
        close_id="c1",
        event_types=(EventType.POSITION_CLOSED,),
        statuses=(Status.FAILED, Status.WARNING),
        since=NOW - 7_200_000_000,
        until=NOW - 3_600_000_000,
        newest_first=True,
    )
    assert Filters().query(NOW) == RecordQuery()


@pytest.mark.parametrize("option", ["user", "position", "trigger", "close"])
def test_an_empty_text_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"^--{option}=' ' is not allowed: it must not be empty"):
        Filters(**{option: " "}).query(NOW)  # type: ignore[arg-type]  # texts only


def test_a_span_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^--until='2h' is not allowed: .* after --since='1h'"):
        Filters(since="1h", until="2h").query(NOW)
