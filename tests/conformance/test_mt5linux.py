"""The bridge for real: the unmodified mt5linux client, an rpyc server in another process."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator

import pytest

from engine.brokers import AccountSpec, Broker, CloseOrder, Side, open_broker
from engine.brokers.bridge import BridgeCalls
from engine.errors import BrokerUnavailable
from engine.outcomes import Verdict
from tests.conformance.bridge_server import RunningServer, running_server, serve_terminal
from tests.conformance.broker_conformance import BrokerConformance, Stage
from tests.conformance.terminal_stage import TerminalStage
from tests.unit.brokers.scripted_terminal import LOGIN

pytest.importorskip("mt5linux")

run = asyncio.run
ORDER = CloseOrder(42, "EURUSD", Side.LONG, 0.3, "RE-TAG")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running_server() as server:
        yield server.port


def bridged(port: int, timeout_s: float = 20.0) -> Broker:
    return open_broker(
        AccountSpec(
            user_id="anna", terminal="mt5linux", port=port, login=LOGIN, timeout_s=timeout_s
        )
    )


class TestThroughTheBridge(BrokerConformance):
    @pytest.fixture(params=[True, False], ids=["hedging", "netting"])
    def stage(self, port: int, request: pytest.FixtureRequest) -> Iterator[Stage]:
        serve_terminal(port, "simulated_terminal", hedging=request.param)
        broker = bridged(port)
        calls = BridgeCalls(host="127.0.0.1", port=port)  # the stage's own, for what it opens
        run(calls("initialize"))
        yield TerminalStage(broker, calls, symbol="EURUSD", hedging=request.param)
        run(broker.disconnect())
        run(calls("shutdown"))


def test_an_order_that_hangs_is_unknown_and_is_not_sent_twice(port: int) -> None:
    serve_terminal(port, "hanging_terminal")

    async def scene() -> None:
        broker = bridged(port, timeout_s=0.5)
        await broker.connect()
        answer = await broker.send_close(ORDER)
        assert answer.verdict is Verdict.UNKNOWN
        assert "TimeoutError" in answer.text
        assert pickle.loads(pickle.dumps(answer)) == answer
        (position,) = await broker.positions()  # over a new connection
        assert position.comment == "orders sent: 1"
        await broker.disconnect()

    run(scene())


def test_a_server_that_dies_in_the_call_is_unknown_and_then_unavailable() -> None:
    async def scene(server: RunningServer) -> None:
        broker = bridged(server.port)
        await broker.connect()
        answer = await broker.send_close(ORDER)
        assert answer.verdict is Verdict.UNKNOWN
        server.wait_for_its_end()
        with pytest.raises(BrokerUnavailable, match=f"no mt5linux server answers.*{server.port}"):
            await broker.positions()
        assert (await broker.send_close(ORDER)).verdict is Verdict.NOT_SENT
        await broker.disconnect()

    with running_server() as server:
        serve_terminal(server.port, "dying_terminal")
        run(scene(server))
