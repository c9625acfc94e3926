"""A venue that is not there, or not what it should be, as its client sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from engine.simulated.served import ServedTerminal
from engine.simulated.served.protocol import LOOPBACK, FrameBuffer, encode

WELCOME = encode({"ok": True, "time_ms": 1, "next_ms": None}) + encode({"n": 1, "v": True})


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where ``serve`` handles one connection."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive()


def terminal(port: int, timeout_s: float = 30.0) -> ServedTerminal:
    return ServedTerminal(port=port, token="token", login=1, timeout_s=timeout_s)


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_no_venue() -> None:
    mt5 = terminal(free_port())
    assert mt5.last_error() == (1, "Success")
    assert mt5.account_info() is None
    assert mt5.last_error() == (-10004, "No IPC connection")
    assert mt5.symbol_select("EURUSD") is False
    assert mt5.advance() is False
    assert mt5.initialize() is False
    assert mt5.last_error()[0] == -10003


def test_a_silent_venue_is_waited_for_as_long_as_was_asked() -> None:
    end = threading.Event()
    with listening(lambda _: assert_set(end)) as port:
        assert terminal(port).initialize(timeout=50) is False
        mt5 = terminal(port, timeout_s=0.05)
        assert mt5.initialize() is False
        assert mt5.last_error()[0] == -10005
        end.set()


def assert_set(end: threading.Event) -> None:
    assert end.wait(30)


def test_no_venue_at_that_port_but_something_else() -> None:
    with listening(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH")) as port:
        mt5 = terminal(port)
        assert mt5.initialize() is False
        assert mt5.last_error()[0] == -10003


def test_an_answer_to_another_call_is_no_answer() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(WELCOME + encode({"n": 7, "v": 5}))
        while connection.recv(4096):
            pass

    with listening(serve) as port:
        mt5 = terminal(port)
        assert mt5.initialize() is True
        assert mt5.positions_total() is None
        assert mt5.last_error()[0] == -10002
        assert not mt5.is_connected


def test_a_connection_that_is_cut_in_an_answer() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(WELCOME)
        frames, taken = FrameBuffer(), 0
        while taken < 3:  # the hello, initialize, and the call that is cut short
            frames.feed(connection.recv(4096))
            while frames.next_frame() is not None:
                taken += 1
        connection.sendall(encode({"n": 2, "v": 5})[:-3])

    with listening(serve) as port:
        mt5 = terminal(port)
        assert mt5.initialize() is True
        assert mt5.positions_total() is None
        assert mt5.last_error()[0] == -10002


def test_the_token_is_not_shown() -> None:
    assert "token" not in repr(terminal(1))


def test_an_answer_that_comes_twice_is_no_answer_to_the_next_call() -> None:
    twice = encode({"n": 2, "v": 3}) * 2

    def serve(connection: socket.socket) -> None:
        frames = FrameBuffer()
        for said in (b"", WELCOME, twice, encode({"n": 3, "v": 4}), b""):
            connection.sendall(said)
            while (frame := frames.next_frame()) is None:
                frames.feed(connection.recv(4096))
        assert frame == {"bye": True}

    with listening(serve) as port:
        mt5 = terminal(port)
        assert mt5.initialize() is True
        assert (mt5.positions_total(), mt5.orders_total()) == (3, 4)
        mt5.shutdown()


@pytest.mark.parametrize("number", [5, 0, "2", None])
def test_an_answer_to_what_was_not_asked_is_no_answer(number: object) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(WELCOME + encode({"n": number, "v": 3}))
        while connection.recv(4096):
            pass

    with listening(serve) as port:
        mt5 = terminal(port)
        assert mt5.initialize() is True
        assert mt5.positions_total() is None
        assert mt5.last_error()[0] == -10002
