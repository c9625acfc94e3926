"""A blocking connection to a venue process: one call, one answer, within a time."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from engine.simulated.served.protocol import Frame, FrameBuffer, ProtocolError, encode

_CHUNK: Final = 1 << 16
_GOODBYE_S: Final = 0.2


class VenueRefused(ValueError):
    """The venue has refused a connection or an operation, and said why."""


class SendFailed(ConnectionError):
    """The call may not have left this process."""


class VenueConnection:
    """One connection, past its hello. It blocks its thread, as a terminal's binding does."""

    def __init__(self, host: str, port: int, hello: Frame, *, timeout_s: float) -> None:
        """Connect and say hello.

        Args:
            host: Where the venue listens.
            port: Its port.
            hello: Its token, and whose connection this is.
            timeout_s: How long that may take, in seconds.

        Raises:
            OSError: The venue cannot be reached, or hung up, or is silent (TimeoutError).
            VenueRefused: It does not know the token or the account.
            ProtocolError: What listens there is no venue.
        """
        self._number = 0
        self._frames = FrameBuffer()
        self._socket = socket.create_connection((host, port), timeout_s)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(encode(hello))
            self.welcome = self._receive(monotonic() + timeout_s)
        except BaseException:
            self._socket.close()
            raise

    def ask(self, function: str, args: list[Any], kwargs: Frame, *, timeout_s: float) -> Frame:
        """Call and wait for the answer.

        Raises:
            SendFailed: The call was not sent wholly.
            OSError: The venue hung up, or gave no answer in time (TimeoutError).
            VenueRefused: It does not do such a thing.
            ProtocolError: The answer is none.
        """
        self._number += 1
        frame = encode({"n": self._number, "f": function, "a": args, "k": kwargs})
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(frame)
        except OSError as error:
            raise SendFailed(str(error)) from error
        deadline = monotonic() + timeout_s
        while (answer := self._receive(deadline)).get("n") != self._number:
            number = answer.get("n")
            if not isinstance(number, int) or not 0 < number < self._number:
                raise ProtocolError(f"call {self._number} was answered with number {number!r}")
            # An earlier call's answer, come twice.
        return answer

    def _receive(self, deadline: float) -> Frame:
        while (frame := self._frames.next_frame()) is None:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError("the venue gave no answer in time")
            self._socket.settimeout(left)
            data = self._socket.recv(_CHUNK)
            if not data:
                raise ConnectionResetError("the venue hung up")
            self._frames.feed(data)
        if "refused" in frame:
            raise VenueRefused(frame["refused"])
        return frame

    def close(self) -> None:
        """Say goodbye, so that the venue can tell a client that leaves from one that died."""
        with suppress(OSError):  # the line may be what is broken
            self._socket.settimeout(_GOODBYE_S)
            self._socket.sendall(encode({"bye": True}))
        self._socket.close()
