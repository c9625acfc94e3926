"""The server and its clients over a socket: who is let in, who dies, who is cut."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from engine.brokers.port import Side
from engine.clock import SystemClock
from engine.simulated.api_table import Struct
from engine.simulated.requests import Request
from engine.simulated.served import ServedTerminal, VenueBehaviour, VenueControl
from engine.simulated.served import server as server_module
from engine.simulated.served.exchange import VenueConnection
from engine.simulated.served.protocol import LOOPBACK, encode
from engine.simulated.served.server import VenueServer
from tests.unit.simulated.served.arranging import LOGIN, TICKS, account, plan
from tests.unit.simulated.served.serving import TOKEN, Serving, serving

DONE, CLOSED = 10009, 10036


@pytest.fixture
def calm() -> Iterator[Serving]:
    with serving(plan(account(), account(LOGIN + 1))) as venue:
        yield venue


@pytest.fixture
def control(calm: Serving) -> Iterator[VenueControl]:
    operator = VenueControl(calm.port, TOKEN)
    yield operator
    operator.close()


def close_request(position: Struct) -> dict[str, object]:
    return {
        "action": 1,
        "symbol": position.symbol,
        "volume": position.volume,
        "type": 1 - position.type,
        "position": position.ticket,
        "comment": "TAG",
    }


def positions(terminal: ServedTerminal) -> tuple[Struct, ...]:
    found = terminal.positions_get()
    assert found is not None, terminal.last_error()
    return found


def test_an_account_is_read_and_traded(calm: Serving) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize(login=LOGIN)
    info = mt5.account_info()
    assert info is not None
    assert info.login == LOGIN
    long, short = positions(mt5)
    answer = mt5.order_send(close_request(long))
    assert answer is not None
    assert (answer.retcode, answer.volume) == (mt5.TRADE_RETCODE_DONE, 1.0)
    assert answer.request.position == long.ticket
    assert [p.ticket for p in positions(mt5)] == [short.ticket]
    deals = mt5.history_deals_get(position=long.identifier)
    assert deals is not None
    assert [deal.entry for deal in deals] == [0, 1]
    everything = mt5.history_deals_get(
        datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(2**32, UTC)
    )
    assert everything is not None
    assert len(everything) == 4  # the deposit, two openings, the close
    assert mt5.orders_get() == ()
    assert (mt5.positions_total(), mt5.orders_total()) == (1, 0)
    mt5.shutdown()


def test_a_result_is_a_struct_of_the_binding(calm: Serving) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    tick = mt5.symbol_info_tick("EURUSD")
    assert tick is not None
    assert tick._asdict()["bid"] == tick.bid == TICKS[0][1]
    assert mt5.symbol_info_tick("NONE") is None
    assert mt5.last_error() == (-4, "Terminal: Not found")
    version = mt5.version()
    assert version is not None
    assert version[0] == 500
    mt5.shutdown()


def test_a_malformed_request_never_leaves_the_process(calm: Serving) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    assert mt5.order_send({"volume": 1}) is None
    assert mt5.last_error() == (-2, 'Invalid "volume" argument')
    assert calm.ask(lambda server: server.desk(LOGIN).ledger.requests) == []
    mt5.shutdown()


def test_an_argument_that_cannot_travel_is_an_error_of_the_caller(calm: Serving) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    assert mt5.positions_get(symbol=object()) is None
    assert mt5.last_error()[0] == -2
    assert mt5.is_connected
    mt5.shutdown()


def test_the_book_outlives_its_clients(calm: Serving) -> None:
    first = calm.terminal()
    assert first.initialize()
    assert first.order_send(close_request(positions(first)[0])) is not None
    assert first.advance()
    moved_to = first.now["time_ms"]
    first.shutdown()
    second = calm.terminal()
    assert second.initialize()
    assert len(positions(second)) == 1
    assert second.now["time_ms"] == moved_to == TICKS[1][0]
    second.shutdown()


def test_accounts_have_nothing_to_do_with_each_other(calm: Serving) -> None:
    one, other = calm.terminal(), calm.terminal(LOGIN + 1)
    assert one.initialize()
    assert other.initialize()
    assert one.order_send(close_request(positions(one)[0])) is not None
    assert (one.positions_total(), other.positions_total()) == (1, 2)
    one.shutdown()
    other.shutdown()


@pytest.mark.parametrize(
    ("login", "token", "said"),
    [(LOGIN, "wrong", "token is not this venue's"), (5, TOKEN, "login=5 is no account")],
)
def test_strangers_are_refused(calm: Serving, login: int, token: str, said: str) -> None:
    mt5 = calm.terminal(login, token=token)
    assert not mt5.initialize()
    code, text = mt5.last_error()
    assert code == -10003
    assert said in text
    assert mt5.positions_get() is None
    assert mt5.last_error()[0] == -10004


def test_another_login_than_the_accounts_is_refused(calm: Serving) -> None:
    mt5 = calm.terminal()
    assert not mt5.initialize(login=LOGIN + 1)
    assert mt5.last_error()[0] == -6
    assert not mt5.is_connected


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 5000),
        encode({"login": LOGIN}),
        encode({"token": TOKEN, "login": LOGIN, "pid": "mine"}),
        encode({"token": TOKEN, "login": LOGIN}) + encode({"n": 1}),
    ],
)
def test_what_is_no_client_is_hung_up_on(calm: Serving, words: bytes) -> None:
    with socket.create_connection((LOOPBACK, calm.port), 30) as stranger:
        stranger.sendall(words)
        received = b"".join(iter(lambda: stranger.recv(4096), b""))
    calm.wait_until(lambda server: not server.connections)
    assert b"refused" in received, "a stranger is told why"


def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HELLO_WITHIN_S", 0.05)
    with (
        serving(plan()) as venue,
        socket.create_connection((LOOPBACK, venue.port), 30) as stranger,
    ):
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
        venue.wait_until(lambda server: not server.connections)


def test_a_venue_serves_this_machine_only() -> None:
    async def listen() -> None:
        server = VenueServer(plan(), token=TOKEN, clock=SystemClock())
        await server.listen("0.0.0.0", 0)

    with pytest.raises(ValueError, match="not loopback"):
        asyncio.run(listen())


def test_a_client_that_dies_with_an_order_in_flight_is_told_from_one_that_leaves() -> None:
    manners = VenueBehaviour(execution_delay_ms=(300, 300))
    with serving(plan(account(), behaviour=manners)) as venue:
        mt5 = venue.terminal()
        assert mt5.initialize()
        request = close_request(positions(mt5)[0])
        mt5.shutdown()
        line = VenueConnection(
            LOOPBACK, venue.port, {"token": TOKEN, "login": LOGIN, "pid": 77}, timeout_s=30
        )
        line._socket.sendall(encode({"n": 1, "f": "order_send", "a": [request], "k": {}}))
        venue.wait_until(lambda server: server.desk(LOGIN).counts().in_flight == 1)
        line._socket.close()
        venue.wait_until(lambda server: bool(server.desk(LOGIN).ledger.deaths))
        assert venue.ask(lambda server: server.desk(LOGIN).counts().executed) == 0
        venue.wait_until(lambda server: server.desk(LOGIN).counts().executed == 1)
        (death,) = venue.ask(lambda server: server.desk(LOGIN).counts().in_flight_at_death)
        assert (death.client_pid, death.number) == (77, 1)
        assert death.closed_us > death.arrived_us


def test_a_client_that_gives_up_waiting_has_not_died() -> None:
    manners = VenueBehaviour(rate_lost_answers=1.0, share_cut=0.0)
    with serving(plan(account(), behaviour=manners)) as venue:
        mt5 = venue.terminal(timeout_s=0.2)
        assert mt5.initialize()
        assert mt5.order_send(close_request(positions(mt5)[0])) is None
        assert mt5.last_error()[0] == -10005
        assert mt5.positions_get() is None
        assert mt5.last_error()[0] == -10004
        venue.wait_until(lambda server: server.desk(LOGIN).counts().in_flight == 0)
        counts = venue.ask(lambda server: server.desk(LOGIN).counts())
        assert (counts.executed, counts.in_flight_at_death) == (1, ())
        assert mt5.initialize()
        assert len(positions(mt5)) == 1
        mt5.shutdown()


def test_a_cut_answer_looks_like_a_broken_pipe() -> None:
    manners = VenueBehaviour(rate_lost_answers=1.0, share_cut=1.0)
    with serving(plan(account(), behaviour=manners)) as venue:
        mt5 = venue.terminal()
        assert mt5.initialize()
        assert mt5.order_send(close_request(positions(mt5)[0])) is None
        assert mt5.last_error()[0] == -10002
        counts = venue.ask(lambda server: server.desk(LOGIN).counts())
        assert (counts.executed, counts.answers_lost, counts.in_flight_at_death) == (1, 1, ())


def test_a_venue_that_goes_down_drops_and_refuses_until_it_comes_up(
    calm: Serving, control: VenueControl
) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    control.go_down()
    assert mt5.positions_get() is None
    assert mt5.last_error()[0] in (-10001, -10002)
    assert not mt5.initialize()
    assert mt5.last_error()[0] == -10003
    control.come_up()
    assert mt5.initialize()
    assert len(positions(mt5)) == 2
    mt5.shutdown()


def test_a_hanging_account_hangs_alone(calm: Serving, control: VenueControl) -> None:
    impatient, other = calm.terminal(timeout_s=0.1), calm.terminal(LOGIN + 1)
    assert impatient.initialize()
    assert other.initialize()
    control.hang(LOGIN)
    assert impatient.positions_get() is None
    assert impatient.last_error()[0] == -10005
    assert other.positions_total() == 2
    assert not impatient.initialize()
    assert impatient.last_error()[0] == -10005
    control.release(LOGIN)
    assert impatient.initialize()
    impatient.shutdown()
    other.shutdown()


def test_who_waits_in_a_hang_is_answered_at_its_end(calm: Serving, control: VenueControl) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    request = close_request(positions(mt5)[0])
    control.hang(LOGIN, holds_orders=True)
    answers: list[Struct | None] = []
    waiting = threading.Thread(target=lambda: answers.append(mt5.order_send(request)))
    waiting.start()
    calm.wait_until(lambda server: server.desk(LOGIN).counts().in_flight == 1)
    (entry,) = control.in_flight()
    assert (entry.login, entry.client_pid, entry.number) == (LOGIN, os.getpid(), 1)
    assert control.in_flight(LOGIN) == (entry,)
    assert control.in_flight(LOGIN + 1) == ()
    assert control.counts()[LOGIN].awaiting_execution == 1
    control.release(LOGIN)
    waiting.join(30)
    assert [answer and answer.retcode for answer in answers] == [DONE]
    mt5.shutdown()


def test_an_operator_reads_the_book_and_writes_into_it(
    calm: Serving, control: VenueControl
) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    (first, _) = positions(mt5)
    ticket = control.open_position(LOGIN, Side.SHORT, 0.2)
    pending = control.place_pending(LOGIN)
    control.close_by_hand(LOGIN, first.ticket)
    refused = mt5.order_send(close_request(first))
    assert refused is not None
    assert refused.retcode == CLOSED
    book = control.book(LOGIN)
    assert (book.login, book.symbol) == (LOGIN, "EURUSD")
    assert ticket in [position["ticket"] for position in book.positions]
    assert first.ticket not in [position["ticket"] for position in book.positions]
    assert [order["ticket"] for order in book.pending] == [pending]
    assert [deal["reason"] for deal in book.deals][-1] == 0  # by hand
    assert len(book.deals_us) == len(book.deals)
    assert list(book.deals_us) == sorted(book.deals_us)
    assert len(book.own_deals) == 4  # two openings of the plan, one of the operator, one by hand
    (entry,) = book.requests
    assert (entry.retcode, entry.lots, entry.deals) == (CLOSED, 0.0, ())
    assert entry.request["comment"] == "TAG"
    assert entry.executed_us is not None
    assert entry.answered_us is not None
    assert entry.arrived_us <= entry.executed_us <= entry.answered_us
    counts = control.counts()[LOGIN]
    assert (counts.executed, counts.closed_by_others, counts.open_positions) == (0, 1, 2)
    mt5.shutdown()


@pytest.mark.parametrize(
    ("operation", "arguments", "said"),
    [
        ("explode", {}, "'explode' is unknown"),
        ("book", {}, "do not fit"),
        ("book", {"login": 5}, "login=5 is no account"),
        ("close_by_hand", {"login": LOGIN, "ticket": 5}, "ticket=5 is no open position"),
        ("open_position", {"login": LOGIN, "side": "up", "lots": 1.0}, "up"),
        ("open_position", {"login": LOGIN, "side": "long", "lots": 1e9}, "refused"),
    ],
)
def test_a_refused_operation_says_why_and_the_next_one_is_served(
    control: VenueControl, operation: str, arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        control._do(operation, **arguments)
    assert set(control.counts()) == {LOGIN, LOGIN + 1}


def test_an_operator_needs_the_token(calm: Serving) -> None:
    with pytest.raises(ValueError, match="token"):
        VenueControl(calm.port, "wrong")


def test_two_runs_meet_the_same_fates() -> None:
    manners = VenueBehaviour(rate_late=0.4, late_ms=5, rate_partial=0.4, seed=11)
    runs = []
    for _ in range(2):
        with serving(plan(account(), behaviour=manners)) as venue:
            mt5 = venue.terminal()
            assert mt5.initialize()
            codes = []
            for _ in range(6):
                long = positions(mt5)[0]
                request = close_request(long) | {"volume": 0.1}
                answer = mt5.order_send(request)
                codes.append(answer and answer.retcode)
                venue.wait_until(lambda server: not server.desk(LOGIN).counts().awaiting_execution)
            runs.append((codes, positions(mt5)[0].volume))
            mt5.shutdown()
    assert runs[0] == runs[1]
    assert set(runs[0][0]) > {DONE}


def test_every_field_of_a_request_reaches_the_book(calm: Serving, control: VenueControl) -> None:
    mt5 = calm.terminal()
    assert mt5.initialize()
    request = Request(action=1, symbol="EURUSD", volume=0.1, magic=2**40)._asdict()
    assert mt5.order_send(request | {"unknown": object()}) is not None
    assert control.book(LOGIN).requests[0].request == request
    mt5.shutdown()
