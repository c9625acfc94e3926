"""What travels between a venue process and its clients: frames of JSON, each after its length.

JSON and not pickle, for whoever reaches a port that unpickles runs code. A frame is four bytes
of length, most significant first, and that many bytes of UTF-8. The first frame of a connection
is its hello, with the venue's token; every later one is a call, answered by one frame with the
same number.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime
from typing import Any, Final

from engine.simulated.api_table import STRUCTS, Struct

LOOPBACK: Final = "127.0.0.1"
LONGEST_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one frame at most: the book of a large account is far below."""
LONGEST_HELLO: Final = 4096
"""Bytes of the first frame at most, as anybody can send that one."""

_JSON: Final = json.JSONEncoder(separators=(",", ":"))
_HEAD: Final = struct.Struct(">I")
_STRUCT: Final = "$"
_TIME: Final = "$time"
_NESTED: Final = ("OrderSendResult", "OrderCheckResult")
"""The structs that hold another one."""

Frame = dict[str, Any]


class ProtocolError(ConnectionError):
    """The other side does not speak this protocol, or not as it was agreed."""


def encode(frame: Frame) -> bytes:
    """Put a frame into bytes.

    Raises:
        ProtocolError: It is too long.
        TypeError: It holds what JSON cannot.
    """
    body = _JSON.encode(frame).encode()
    if len(body) > LONGEST_FRAME:
        raise ProtocolError(f"a frame of {len(body)} bytes is above {LONGEST_FRAME}")
    return _HEAD.pack(len(body)) + body


class FrameBuffer:
    """Cuts a stream of bytes into frames."""

    def __init__(self, longest: int = LONGEST_FRAME) -> None:
        """Begin empty; ``longest`` bounds every frame, in bytes, and may be raised later."""
        self.longest = longest
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._bytes += data

    def next_frame(self) -> Frame | None:
        """Take the next whole frame out; ``None`` until it has arrived.

        Raises:
            ProtocolError: It is too long, no JSON, or no object.
        """
        if len(self._bytes) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._bytes)
        if length > self.longest:
            raise ProtocolError(f"a frame of {length} bytes is above {self.longest}")
        end = _HEAD.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_HEAD.size : end])
        del self._bytes[:end]
        try:
            frame = json.loads(body)
        except ValueError as error:
            raise ProtocolError(f"a frame is no JSON: {error}") from error
        if not isinstance(frame, dict):
            raise ProtocolError(f"a frame is a {type(frame).__name__}, not an object")
        return frame


def pack_argument(value: Any) -> Any:
    """Turn an argument of a call into what JSON can hold; dates keep their zone, or its lack."""
    return {_TIME: value.isoformat()} if isinstance(value, datetime) else value


def unpack_argument(value: Any) -> Any:
    """Turn an argument back.

    Raises:
        ProtocolError: It is marked as a time and is none.
    """
    if isinstance(value, dict) and _TIME in value:
        try:
            return datetime.fromisoformat(value[_TIME])
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"{value[_TIME]!r} is no time: {error}") from error
    return value


def pack_result(value: Any) -> Any:
    """Turn a terminal's result into what JSON can hold."""
    if isinstance(value, Struct):
        name = type(value).__name__
        # The others are flat, and JSON takes a tuple as it is: positions are read at every tick.
        items = [pack_result(item) for item in value] if name in _NESTED else value
        return {_STRUCT: name, "v": items}
    if isinstance(value, (tuple, list)):
        return [pack_result(item) for item in value]
    return value


def unpack_result(value: Any) -> Any:
    """Turn a terminal's result back: structs, and tuples of them."""
    if isinstance(value, dict) and _STRUCT in value:
        name, items = value[_STRUCT], value["v"]
        return STRUCTS[name](map(unpack_result, items) if name in _NESTED else items)
    if isinstance(value, list):
        return tuple(unpack_result(item) for item in value)
    return value
