"""The bridge without a network: a local client evaluates the text, as the server would."""

from __future__ import annotations

import asyncio
import logging
from collections import namedtuple
from importlib import metadata
from typing import Any

import pytest

from engine.brokers.bridge import BridgeCalls, is_loopback
from engine.brokers.terminal_calls import TerminalReply
from engine.errors import BrokerUnavailable
from tests.unit.brokers.scripted_terminal import Fails, ScriptedTerminal

Request = namedtuple("Request", "symbol volume")
Result = namedtuple("Result", "retcode request")


class LocalClient:
    """Has the two functions of ``mt5linux.MetaTrader5`` that the bridge uses."""

    def __init__(self, terminal: object) -> None:
        self.namespace: dict[str, Any] = {"mt5": terminal}
        self.evaluations = 0

    def execute(self, code: str) -> None:
        exec(code, self.namespace)

    def eval(self, code: str) -> Any:
        self.evaluations += 1
        value = eval(code, self.namespace)
        assert type(value) is str, "anything else would come as a proxy, or cost more"
        return value


class Clients:
    """Counts the connections that are opened."""

    def __init__(self, terminal: object) -> None:
        self.terminal = terminal
        self.opened: list[tuple[str, int, float]] = []
        self.last: LocalClient | None = None

    def __call__(self, host: str, port: int, timeout: float) -> LocalClient:
        self.opened.append((host, port, timeout))
        self.last = LocalClient(self.terminal)
        return self.last


def ask(clients: Clients, *calls: tuple[str, dict[str, Any]]) -> list[TerminalReply | Exception]:
    async def work() -> list[TerminalReply | Exception]:
        bridge = BridgeCalls(host="127.0.0.1", port=5, timeout_s=2.5, client=clients)
        replies: list[TerminalReply | Exception] = []
        for function, kwargs in calls:
            try:
                replies.append(await bridge(function, **kwargs))
            except (EOFError, TimeoutError) as error:
                replies.append(error)
        await bridge("shutdown")
        return replies

    return asyncio.run(work())


def test_structs_arrive_as_plain_objects_in_one_round_trip() -> None:
    result = Result(10009, Request("EURUSD", 0.5))
    clients = Clients(ScriptedTerminal(order_send=result, positions_get=(Request("A", 1.0),)))
    sent, positions = ask(clients, ("order_send", {}), ("positions_get", {"ticket": 3}))
    assert isinstance(sent, TerminalReply)
    assert (sent.value.retcode, sent.value.request.symbol) == (10009, "EURUSD")
    assert isinstance(positions, TerminalReply)
    assert [item.volume for item in positions.value] == [1.0]
    assert clients.opened == [("127.0.0.1", 5, 2.5)]
    assert clients.last is not None
    assert clients.last.evaluations == 3  # the two calls and the shutdown


def test_an_error_comes_with_the_call_that_failed() -> None:
    clients = Clients(ScriptedTerminal(orders_get=Fails(-10002, "IPC recv failed")))
    (reply,) = ask(clients, ("orders_get", {}))
    assert reply == TerminalReply(None, (-10002, "IPC recv failed"))


@pytest.mark.parametrize("error", [EOFError("closed"), TimeoutError("result expired")])
def test_a_call_that_breaks_off_raises_and_drops_the_connection(error: Exception) -> None:
    clients = Clients(ScriptedTerminal(order_send=error))
    broken, after = ask(clients, ("order_send", {}), ("positions_get", {}))
    assert type(broken) is type(error)
    assert after == TerminalReply([], None)
    assert len(clients.opened) == 2


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_silent(host: str, caplog: pytest.LogCaptureFixture) -> None:
    BridgeCalls(host=host, port=18812)
    assert is_loopback(host)
    assert caplog.text == ""


@pytest.mark.parametrize("host", ["10.0.0.5", "0.0.0.0", "mt5.example", "localhost.example"])
def test_any_other_host_is_warned_of(host: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        BridgeCalls(host=host, port=18812)
    assert f"{host}:18812" in caplog.text
    assert "runs any code" in caplog.text


@pytest.mark.parametrize(
    ("version", "message"),
    [(None, "needs the package mt5linux"), ("1.1.1", "mt5linux 1.1.1 cannot be used")],
)
def test_a_client_that_is_missing_or_unfit_is_told(
    monkeypatch: pytest.MonkeyPatch, version: str | None, message: str
) -> None:
    def installed(_name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(metadata, "version", installed)

    async def work() -> None:
        await BridgeCalls(host="127.0.0.1", port=5)("positions_get")

    with pytest.raises(BrokerUnavailable, match=rf"{message}.*pip install 'risk-engine\[mt5linux"):
        asyncio.run(work())
