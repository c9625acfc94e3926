"""Frames and values on their way between a venue and its clients."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from engine.simulated.api_table import BookInfo, OrderSendResult, TradeRequest
from engine.simulated.requests import Request
from engine.simulated.served.protocol import (
    Frame,
    FrameBuffer,
    ProtocolError,
    encode,
    pack_argument,
    pack_result,
    unpack_argument,
    unpack_result,
)


def test_frames_come_out_as_they_went_in_however_they_are_cut() -> None:
    frames: list[Frame] = [{"n": 1, "v": 1.5}, {"n": 2, "v": "ä"}, {}]
    stream = b"".join(encode(frame) for frame in frames)
    buffer, found = FrameBuffer(), []
    for place in range(len(stream)):
        buffer.feed(stream[place : place + 1])
        while (frame := buffer.next_frame()) is not None:
            found.append(frame)
    assert found == frames


def test_several_frames_may_arrive_at_once() -> None:
    buffer = FrameBuffer()
    buffer.feed(encode({"n": 1}) + encode({"n": 2}))
    assert [buffer.next_frame(), buffer.next_frame(), buffer.next_frame()] == [
        {"n": 1},
        {"n": 2},
        None,
    ]


def test_a_frame_above_the_bound_is_refused_before_it_has_arrived() -> None:
    buffer = FrameBuffer(longest=10)
    buffer.feed(struct.pack(">I", 11))
    with pytest.raises(ProtocolError, match="11 bytes is above 10"):
        buffer.next_frame()


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"\xff"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    buffer = FrameBuffer()
    buffer.feed(struct.pack(">I", len(body)) + body)
    with pytest.raises(ProtocolError):
        buffer.next_frame()


def test_structs_arrive_as_structs_within_each_other_and_in_tuples() -> None:
    request = TradeRequest(Request(action=1, symbol="EURUSD", volume=0.1))
    result = OrderSendResult((10009, 1, 2, 0.1, 1.1, 1.1, 1.2, "done", 1, 0, request))
    buffer = FrameBuffer()
    buffer.feed(encode({"v": pack_result((result, BookInfo((1, 1.1, 5, 5.0))))}))
    frame = buffer.next_frame()
    assert frame is not None
    found = unpack_result(frame["v"])
    assert found == (result, (1, 1.1, 5, 5.0))
    assert isinstance(found[0], OrderSendResult)
    assert found[0].request.symbol == "EURUSD"
    assert found[0]._asdict()["retcode"] == 10009


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text"])
def test_plain_results_stay_as_they_are(value: object) -> None:
    assert unpack_result(pack_result(value)) is value


@pytest.mark.parametrize("moment", [datetime(2015, 1, 15, 9, 30, tzinfo=UTC), datetime(2015, 1, 1)])  # noqa: DTZ001 - the binding takes both
def test_dates_keep_their_zone_or_its_lack(moment: datetime) -> None:
    packed = pack_argument(moment)
    assert isinstance(packed, dict)
    assert unpack_argument(packed) == moment
    assert unpack_argument(packed).tzinfo == moment.tzinfo


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolError, match="'noon' is no time"):
        unpack_argument({"$time": "noon"})
