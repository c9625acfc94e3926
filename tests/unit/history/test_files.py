from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from audit.history import History, HistoryError, HistoryWriter, read_history
from audit.history.reading import parse_history
from tests.unit.history.scenes import good, record

HEADER = '{"event": "history"}'
INVOKED = (
    '{"event": "invoked", "call": "c1", "client": "me", "user_id": "ann", "kind": "close",'
    ' "key": "k", "invoked_us": 5}'
)


def write(history: History, stream: io.StringIO) -> HistoryWriter:
    writer = HistoryWriter(stream, settle_window_us=history.header.settle_window_us)
    for call in history.invocations:
        writer.invoked(call)
    for end in history.completions:
        writer.completed(end)
    for position in history.positions:
        writer.position(position)
    for deal in history.deals:
        writer.deal(deal)
    for request in history.requests:
        writer.request(request)
    for final in history.records:
        writer.record(final)
    return writer


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    history = good(records=(record(),))
    stream = io.StringIO()
    assert write(history, stream).history() == history
    path = tmp_path / "history.jsonl"
    path.write_text(stream.getvalue(), encoding="utf-8")
    assert read_history(path) == history


def test_each_line_is_in_the_stream_at_once() -> None:
    stream = io.StringIO()
    writer = HistoryWriter(stream, records=True)
    assert json.loads(stream.getvalue())["records"] is True
    writer.record(record())
    assert json.loads(stream.getvalue().splitlines()[1])["event"] == "record"


def test_empty_lines_are_passed_over() -> None:
    assert len(parse_history([HEADER, "\n", INVOKED, "\n"]).invocations) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no lines"),
        ([INVOKED], "line 1: the first line must be the one with event='history'"),
        ([HEADER, HEADER], "line 2: a second line with event='history'"),
        ([HEADER, "{"], "line 2: not JSON"),
        ([HEADER, "[" * 100_000], "line 2: not JSON: maximum recursion depth"),
        ([HEADER, "1" * 5_000], "line 2: not JSON: Exceeds the limit"),
        ([HEADER, "[1]"], r"line 2: \[1\] is no JSON object"),
        ([HEADER, '{"event": "dael"}'], "line 2: event='dael'; allowed are history, invoked"),
        ([HEADER, '{"event": ["deal"]}'], "line 2: event=.'deal'.; allowed"),
        ([HEADER, INVOKED.replace(', "key": "k"', "")], "line 2: invoked: key: Field required"),
        ([HEADER, INVOKED.replace("5}", '"5"}')], "invoked_us: Input .* integer .given: '5'"),
        ([HEADER, INVOKED.replace("5}", '5, "volume": NaN}')], "line 2: invoked: volume"),
        ([HEADER, INVOKED.replace("5}", '5, "colour": 1}')], "line 2: invoked: colour"),
        ([HEADER, INVOKED.replace("close", "open")], "line 2: invoked: kind"),
        ([HEADER, INVOKED, INVOKED], "call='c1' is invoked twice"),
        (['{"event": "history", "format": 2}'], "format=2; this version reads format 1"),
        (
            [HEADER, '{"event": "completed", "call": "c9", "status": "ok", "completed_us": 5}'],
            "call='c9' is completed but never invoked",
        ),
        (
            [
                HEADER,
                INVOKED,
                '{"event": "completed", "call": "c1", "status": "ok", "completed_us": 4}',
            ],
            "completed_us=4 of call='c1' is before its invoked_us=5",
        ),
        (
            [
                HEADER,
                INVOKED,
                *['{"event": "completed", "call": "c1", "status": "ok", "completed_us": 6}'] * 2,
            ],
            "call='c1' is completed twice",
        ),
        (
            [
                HEADER,
                *[
                    '{"event": "position", "user_id": "ann", "identifier": 7, "symbol": "X",'
                    ' "side": "long", "mode": "netting"}'
                ]
                * 2,
            ],
            "identifier=7 of user_id='ann' is listed twice",
        ),
    ],
)
def test_a_malformed_file_is_refused_by_line_and_field(lines: list[str], message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        parse_history(lines)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HistoryError, match="not UTF-8"):
        read_history(path)
