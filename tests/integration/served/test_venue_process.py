"""A real venue process: clients are killed, answers are lost, parents die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.brokers import CloseOrder, Side, open_broker
from engine.outcomes import Verdict
from engine.simulated.served import (
    PriceSource,
    ServedAccount,
    VenueBehaviour,
    VenueFailed,
    VenuePlan,
    VenueProcess,
)
from engine.simulated.served.protocol import LOOPBACK
from tests.integration.served.clients import start_closing, start_negligent_parent, wait_until

LOGIN = 100_001
TICKS = tuple((1_700_000_000_000 + n * 1_000, 1.1, 1.1001) for n in range(3))


def plan(**behaviour: object) -> VenuePlan:
    positions = ((Side.LONG, 1.0), (Side.SHORT, 0.5))
    return VenuePlan(
        prices=PriceSource(symbol="EURUSD", ticks=TICKS),
        accounts=tuple(
            ServedAccount(login=LOGIN + n, user_id=f"user-{n}", positions=positions)
            for n in range(2)
        ),
        behaviour=VenueBehaviour(**behaviour),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def slow() -> Iterator[VenueProcess]:
    """A venue that takes its time to execute."""
    with VenueProcess(plan(execution_delay_ms=(500, 500))) as venue:
        yield venue


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def is_served(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 30).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_killed_clients_order_is_executed_all_the_same_and_counted(slow: VenueProcess) -> None:
    client = start_closing(slow, LOGIN)
    try:
        wait_until(lambda: slow.control.in_flight(LOGIN))
    finally:
        client.kill()
        said, _ = client.communicate()
    assert said == "sending\n"
    wait_until(lambda: slow.control.counts()[LOGIN].in_flight_at_death)
    wait_until(lambda: slow.control.counts()[LOGIN].executed)
    counts = slow.control.counts()[LOGIN]
    (death,) = counts.in_flight_at_death
    assert (death.login, death.client_pid, death.number) == (LOGIN, client.pid, 1)
    assert (counts.closes, counts.closed_lots, counts.open_lots) == (1, 1.0, 0.5)
    assert (counts.answered, counts.in_flight, counts.double_closes) == (0, 0, ())
    (request,) = slow.control.book(LOGIN).requests
    assert request.executed_us is not None
    assert request.closed_us == death.closed_us
    assert request.arrived_us < death.closed_us < request.executed_us
    assert request.executed_us - request.arrived_us >= 500_000


def test_specifications_name_every_account_and_hide_the_token(slow: VenueProcess) -> None:
    specs = slow.specs(timeout_s=5.0, replay=False)
    assert [spec.user_id for spec in specs] == ["user-0", "user-1"]
    assert specs[0] == slow.spec(LOGIN, timeout_s=5.0, replay=False)
    assert specs[0].options == slow.options(LOGIN, timeout_s=5.0, replay=False)
    assert slow.token not in repr(specs)
    with pytest.raises(ValueError, match="login=5 is no account"):
        slow.options(5)


def test_what_is_killed_in_the_parents_group_is_not_the_venue(slow: VenueProcess) -> None:
    assert os.getpgid(slow.pid) != os.getpgid(0)


async def test_a_successor_finds_what_was_done_in_its_absence(slow: VenueProcess) -> None:
    login = LOGIN + 1
    client = start_closing(slow, login)
    wait_until(lambda: slow.control.in_flight(login))
    client.kill()
    client.communicate()
    broker = open_broker(slow.spec(login))
    await broker.connect()
    before = await broker.positions()
    wait_until(lambda: slow.control.counts()[login].executed)
    after = await broker.positions()
    assert (len(before), len(after)) == (2, 1)
    deals = await broker.deals_of(before[0].identifier)
    assert [deal.comment for deal in deals] == ["", "TAG"]
    await broker.disconnect()


@pytest.mark.parametrize("share_cut", [0.0, 1.0], ids=["silence", "cut"])
async def test_an_execution_whose_answer_is_lost_is_unknown_to_the_client_alone(
    share_cut: float,
) -> None:
    with VenueProcess(plan(rate_lost_answers=1.0, share_cut=share_cut)) as venue:
        broker = open_broker(venue.spec(LOGIN, timeout_s=0.3))
        first = (await broker.positions())[0]
        order = CloseOrder(first.ticket, first.symbol, first.side, first.volume, "TAG")
        assert (await broker.send_close(order)).verdict is Verdict.UNKNOWN
        counts = venue.control.counts()[LOGIN]
        assert (counts.answers_lost, counts.executed, counts.answered) == (1, 1, 0)
        assert len(await broker.positions()) == 1
        await broker.disconnect()


def test_a_hanging_terminal_keeps_its_client_until_it_is_released() -> None:
    with VenueProcess(plan(execution_delay_ms=(300, 300))) as venue:
        client = start_closing(venue, LOGIN)
        try:
            wait_until(lambda: venue.control.in_flight(LOGIN))
            venue.control.hang(LOGIN)
            wait_until(lambda: venue.control.counts()[LOGIN].executed)
            assert len(venue.control.in_flight(LOGIN)) == 1
            venue.control.release(LOGIN)
            said, _ = client.communicate(timeout=30)
        finally:
            client.kill()
        assert said == "sending\nanswered\n"
        assert venue.control.counts()[LOGIN].answered == 1


def test_the_parents_death_is_the_venues_end() -> None:
    parent = start_negligent_parent()
    try:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert is_served(port)
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not is_served(port))


def test_the_blocks_end_is_the_venues_end_whatever_happens_in_it() -> None:
    venue = VenueProcess(plan())
    pids = []

    def fail_within() -> None:
        with venue:
            pids.append(venue.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert is_gone(pids[0])
    with pytest.raises(RuntimeError, match="not running"):
        _ = venue.control


def test_a_venue_that_was_killed_is_stopped_without_a_fuss() -> None:
    with VenueProcess(plan()) as venue:
        pid = venue.pid
        os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    with pytest.raises(RuntimeError, match="not running"):
        _ = venue.pid


def test_a_venue_whose_plan_cannot_be_carried_out_says_why_and_is_gone() -> None:
    account = ServedAccount(login=1, user_id="ann", positions=((Side.LONG, 400.0),))
    impossible = VenuePlan(prices=PriceSource(symbol="EURUSD", ticks=TICKS), accounts=(account,))
    venue = VenueProcess(impossible)
    with pytest.raises(VenueFailed, match="account 1: the simulated broker refused"):
        venue.start()
    with pytest.raises(RuntimeError, match="not running"):
        _ = venue.pid


def test_a_venue_that_is_not_ready_in_time_is_killed() -> None:
    venue = VenueProcess(plan(), ready_within_s=0.0)
    with pytest.raises(VenueFailed, match=r"not ready within 0\.0 s; it said: nothing"):
        venue.start()


def test_sigterm_ends_it_in_peace_and_stdout_has_one_line(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan().to_json(), encoding="utf-8")
    venue = subprocess.Popen(
        [sys.executable, "-m", "engine.simulated.served", "--accounts-file", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert venue.stdout is not None
    ready = venue.stdout.readline()
    venue.terminate()
    rest, said = venue.communicate(timeout=30)
    assert '"port"' in ready
    assert (venue.returncode, rest, said) == (0, "", "")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "nowhere"])
def test_an_address_that_is_not_this_machine_is_refused(tmp_path: Path, listen: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan().to_json(), encoding="utf-8")
    command = ["--accounts-file", str(file), "--listen", listen]
    done = subprocess.run(
        [sys.executable, "-m", "engine.simulated.served", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "the venue cannot start" in done.stderr
