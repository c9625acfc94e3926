"""MT5Broker: the orders it sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from engine.brokers.mt5 import MT5Broker
from engine.brokers.port import CloseOrder, Side
from engine.outcomes import Verdict
from tests.unit.brokers.scripted_terminal import (
    LOGIN,
    Fails,
    ScriptedTerminal,
    account_info,
    result,
    symbol_info,
)

run = asyncio.run


def close(**changes: Any) -> CloseOrder:
    fields: dict[str, Any] = {
        "ticket": 42,
        "symbol": "EURUSD",
        "side": Side.LONG,
        "volume": 0.3,
        "tag": "RE-TAG",
    }
    return CloseOrder(**(fields | changes))


def broker_on(terminal: ScriptedTerminal, **options: Any) -> MT5Broker:
    return MT5Broker(terminal, login=LOGIN, **options)


def test_a_long_is_sold_at_the_bid_and_every_key_is_there() -> None:
    terminal = ScriptedTerminal(order_send=result(10009, volume=0.3, price=1.0999))
    answer = run(broker_on(terminal, magic=77, deviation=5).send_close(close()))
    assert terminal.sent == [
        {
            "action": 1,
            "symbol": "EURUSD",
            "volume": 0.3,
            "type": 1,
            "position": 42,
            "price": 1.1,
            "deviation": 5,
            "magic": 77,
            "comment": "RE-TAG",
            "type_time": 0,
            "type_filling": 0,
        }
    ]
    assert answer.verdict is Verdict.DONE
    assert (answer.code, answer.volume, answer.price) == (10009, 0.3, 1.0999)
    assert (answer.order, answer.deal) == (6, 7)
    assert answer.details["request.comment"] == "RE-TAG"
    assert answer.details["answer.retcode"] == 10009
    assert pickle.loads(pickle.dumps(answer)) == answer


def test_a_short_is_bought_at_the_ask() -> None:
    terminal = ScriptedTerminal()
    run(broker_on(terminal).send_close(close(side=Side.SHORT)))
    assert (terminal.sent[0]["type"], terminal.sent[0]["price"]) == (0, 1.1002)


def test_a_price_that_is_given_is_used_and_no_tick_read() -> None:
    terminal = ScriptedTerminal()
    run(broker_on(terminal).send_close(close(price=1.2345)))
    assert terminal.sent[0]["price"] == 1.2345
    assert terminal.called("symbol_info_tick") == []


def test_the_types_are_those_that_the_binding_takes() -> None:
    terminal = ScriptedTerminal()
    run(broker_on(terminal).send_close(close()))
    request = terminal.sent[0]
    assert {type(request[key]) for key in ("volume", "price")} == {float}
    integers = ("action", "type", "position", "deviation", "magic", "type_time", "type_filling")
    assert {type(request[key]) for key in integers} == {int}


@pytest.mark.parametrize(
    ("mask", "execution", "filling"),
    [(1, 2, 0), (2, 2, 1), (3, 2, 0), (0, 3, 2), (0, 2, 0), (0, 1, 0), (1, 3, 0), (6, 3, 1)],
)
def test_the_filling_follows_the_mask(mask: int, execution: int, filling: int) -> None:
    terminal = ScriptedTerminal(symbol_info=symbol_info(filling_mode=mask, trade_exemode=execution))
    run(broker_on(terminal).send_close(close()))
    assert terminal.sent[0]["type_filling"] == filling


@pytest.mark.parametrize(("mask", "fillings"), [(1, [0, 1, 0]), (2, [1, 0, 1])])
def test_a_refused_filling_makes_the_next_close_use_the_other(
    mask: int, fillings: list[int]
) -> None:
    terminal = ScriptedTerminal(
        symbol_info=symbol_info(filling_mode=mask),
        order_send=deque([result(10030), result(10030), result(10009)]),
    )
    broker = broker_on(terminal)
    verdicts = [run(broker.send_close(close())).verdict for _ in range(3)]
    assert verdicts == [Verdict.MEND, Verdict.MEND, Verdict.DONE]
    assert [request["type_filling"] for request in terminal.sent] == fillings


def test_one_close_is_one_request_whatever_the_answer() -> None:
    for script in (result(10030), result(10004), result(10012), Fails(-10002), EOFError()):
        terminal = ScriptedTerminal(order_send=script)
        run(broker_on(terminal).send_close(close()))
        assert len(terminal.sent) == 1


def test_a_mend_reads_the_symbol_afresh() -> None:
    terminal = ScriptedTerminal(order_send=deque([result(10014), result(10009)]))
    broker = broker_on(terminal)
    run(broker.send_close(close()))
    terminal.scripts["symbol_info"] = symbol_info(volume_step=0.1)
    run(broker.send_close(close(volume=0.37)))
    assert [request["volume"] for request in terminal.sent] == [0.3, 0.3]


def test_done_for_less_than_asked_is_a_part() -> None:
    terminal = ScriptedTerminal(order_send=result(10009, volume=0.2))
    assert run(broker_on(terminal).send_close(close())).verdict is Verdict.PARTIAL


def test_a_volume_above_the_largest_is_cut_and_leaves_a_part() -> None:
    terminal = ScriptedTerminal(order_send=result(10009, volume=50.0))
    answer = run(broker_on(terminal).send_close(close(volume=120.0)))
    assert terminal.sent[0]["volume"] == 50.0
    assert answer.verdict is Verdict.PARTIAL


@pytest.mark.parametrize("volume", [0.009, 0.0, -1.0, float("nan"), float("inf")])
def test_a_volume_that_cannot_be_sent_is_not_sent(volume: float) -> None:
    terminal = ScriptedTerminal()
    answer = run(broker_on(terminal).send_close(close(volume=volume)))
    assert answer.verdict is Verdict.NOT_SENT
    assert terminal.sent == []


@pytest.mark.parametrize("tag", ["", "x" * 28, "käse", "two\nlines"])
def test_a_tag_that_a_terminal_would_not_keep_is_refused(tag: str) -> None:
    terminal = ScriptedTerminal()
    with pytest.raises(ValueError, match="tag="):
        run(broker_on(terminal).send_close(close(tag=tag)))
    assert terminal.sent == []


@pytest.mark.parametrize(
    ("script", "verdict", "code"),
    [
        (Fails(-10002, "IPC recv failed"), Verdict.UNKNOWN, -10002),
        (Fails(-10004, "No IPC connection"), Verdict.UNKNOWN, -10004),
        (Fails(-1, "fail"), Verdict.UNKNOWN, -1),
        (Fails(-8, "AutoTrading disabled"), Verdict.NOT_SENT, -8),
        (Fails(-2, 'Invalid "comment" argument'), Verdict.NOT_SENT, -2),
        (result(10031), Verdict.SETTLE_FIRST, 10031),
        (result(10005), Verdict.UNKNOWN, 10005),
    ],
)
def test_answers_are_classified(script: object, verdict: Verdict, code: int) -> None:
    answer = run(broker_on(ScriptedTerminal(order_send=script)).send_close(close()))
    assert (answer.verdict, answer.code) == (verdict, code)
    assert answer.details["request.position"] == 42


@pytest.mark.parametrize(
    "error", [EOFError("closed"), TimeoutError("result expired"), ValueError("odd")]
)
def test_a_send_that_raises_is_unknown_and_reopens_the_connection(error: Exception) -> None:
    terminal = ScriptedTerminal(order_send=deque([error, result(10009)]))
    broker = broker_on(terminal)
    answer = run(broker.send_close(close()))
    assert answer.verdict is Verdict.UNKNOWN
    assert type(error).__name__ in answer.text
    assert len(terminal.called("initialize")) == 1
    run(broker.positions())
    assert len(terminal.called("initialize")) == 2
    assert len(terminal.sent) == 1


def test_an_answer_that_cannot_be_read_is_unknown() -> None:
    terminal = ScriptedTerminal(order_send=SimpleNamespace(retcode=10009))
    assert run(broker_on(terminal).send_close(close())).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "scripts",
    [
        {"initialize": Fails(-10003, value=False)},
        {"account_info": account_info(login=666)},
        {"symbol_info": Fails(-10004)},
        {"symbol_info_tick": Fails(-10004)},
        {"symbol_info_tick": EOFError()},
    ],
)
def test_what_fails_before_the_order_is_not_sent(scripts: dict[str, object]) -> None:
    terminal = ScriptedTerminal(**scripts)
    answer = run(broker_on(terminal).send_close(close()))
    assert answer.verdict is Verdict.NOT_SENT
    assert "no request was sent" in answer.text
    assert terminal.sent == []


@pytest.mark.parametrize(
    ("execution", "verdict", "sent"),
    [
        (2, Verdict.DONE, 1),
        (3, Verdict.DONE, 1),
        (0, Verdict.NOT_SENT, 0),
        (1, Verdict.NOT_SENT, 0),
    ],
)
def test_no_quote_stops_a_close_only_where_the_price_counts(
    execution: int, verdict: Verdict, sent: int
) -> None:
    terminal = ScriptedTerminal(
        symbol_info=symbol_info(trade_exemode=execution),
        symbol_info_tick=SimpleNamespace(bid=0.0, ask=0.0, time_msc=0),
    )
    assert run(broker_on(terminal).send_close(close())).verdict is verdict
    assert len(terminal.sent) == sent


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        (result(10009), Verdict.DONE),
        (result(10035), Verdict.MAYBE_MET),
        (result(10029), Verdict.BACK_OFF),
        (Fails(-10001), Verdict.UNKNOWN),
    ],
)
def test_a_pending_order_is_removed_by_ticket(script: object, verdict: Verdict) -> None:
    terminal = ScriptedTerminal(order_send=script)
    assert run(broker_on(terminal).cancel_order(90)).verdict is verdict
    assert terminal.sent == [{"action": 8, "order": 90}]


def test_a_cancellation_without_connection_is_not_sent() -> None:
    terminal = ScriptedTerminal(initialize=Fails(-10005, value=False))
    assert run(broker_on(terminal).cancel_order(90)).verdict is Verdict.NOT_SENT
    assert terminal.sent == []
