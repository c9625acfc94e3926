"""One read of everything, through the real adapter."""

from __future__ import annotations

import asyncio
import pickle
from array import array

from engine.brokers import MT5Broker
from engine.brokers.snapshot import AccountSnapshot, take_snapshot
from engine.prices import PricePath
from engine.simulated import Market, SimulatedTerminal


def path(symbol: str) -> PricePath:
    return PricePath(symbol, 5, "test", array("q", [0]), array("d", [1.1]), array("d", [1.1002]))


def test_a_snapshot_holds_positions_pending_orders_and_their_quotes() -> None:
    terminal = SimulatedTerminal(Market([path("EURUSD"), path("GBPUSD"), path("AUDUSD")]))

    async def read() -> AccountSnapshot:
        broker = MT5Broker(terminal)
        await broker.connect()
        terminal.order_send(
            {"action": 1, "symbol": "EURUSD", "volume": 0.2, "type": 0, "type_filling": 1}
        )
        terminal.order_send(
            {"action": 5, "symbol": "GBPUSD", "volume": 0.1, "type": 2, "price": 1.05}
        )
        return await take_snapshot(broker)

    snapshot = asyncio.run(read())
    assert snapshot.account.equity == 10_000.0 - 4.0
    assert [(p.symbol, p.volume) for p in snapshot.positions] == [("EURUSD", 0.2)]
    assert [(o.symbol, o.price) for o in snapshot.pending_orders] == [("GBPUSD", 1.05)]
    assert [q.symbol for q in snapshot.quotes] == ["EURUSD", "GBPUSD"]
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
