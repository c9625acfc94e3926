"""Small venues, a clock that is moved by hand, and a client's end of a line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from engine.brokers.port import Side
from engine.simulated.api_table import Struct
from engine.simulated.served import PriceSource, ServedAccount, VenueBehaviour, VenuePlan
from engine.simulated.served.desk import AccountDesk, Reply

LOGIN = 100_001
START_MS = 1_700_000_000_000
TICKS = tuple((START_MS + n * 1_000, 1.1 + n / 1_000, 1.1001 + n / 1_000) for n in range(5))
_TURNS = 20


def plan(
    *accounts: ServedAccount, ticks: tuple[tuple[int, float, float], ...] = TICKS, **more: Any
) -> VenuePlan:
    """A venue in EURUSD; one account with a long and a short position unless some are given."""
    return VenuePlan(
        prices=PriceSource(symbol="EURUSD", ticks=ticks), accounts=accounts or (account(),), **more
    )


def account(login: int = LOGIN, **more: Any) -> ServedAccount:
    """An account with a long position of 1.0 and a short one of 0.5 lots."""
    positions = more.pop("positions", ((Side.LONG, 1.0), (Side.SHORT, 0.5)))
    return ServedAccount(login=login, user_id=f"user-{login}", positions=positions, **more)


def close_of(desk: AccountDesk, tag: str = "CLOSE", place: int = 0) -> dict[str, Any]:
    """The request that closes one of the positions that are open."""
    position = list(desk.terminal.book.positions.values())[place]
    return {
        "action": 1,
        "symbol": position.symbol,
        "volume": position.volume,
        "type": 1 if position.sign > 0 else 0,
        "position": position.ticket,
        "comment": tag,
    }


class ManualClock:
    """Time that passes when :meth:`pass_time` is told to, sleepers waking in order."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def wall_us(self) -> int:
        return round(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, woken))
        await woken

    async def pass_time(self, seconds: float) -> None:
        end = self.seconds + seconds
        await settle()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            first = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self.seconds = first[0]
            if not first[1].done():
                first[1].set_result(None)
            await settle()
        self.seconds = end


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class HeldLine:
    """A client's end: keeps what it is answered."""

    def __init__(self, number: int = 1, client_pid: int = 4711) -> None:
        self.number = number
        self.client_pid = client_pid
        self.replies: list[tuple[int, Reply]] = []
        self.is_open = True

    def reply(self, call: int, reply: Reply) -> bool:
        if self.is_open:
            self.replies.append((call, reply))
        return self.is_open

    def cut(self) -> None:
        self.is_open = False

    def retcode(self) -> int:
        """The return code of the only answer."""
        ((_, (value, _)),) = self.replies
        assert isinstance(value, Struct)
        code: int = value.retcode
        return code


class DeskStage:
    """An account's desk, its clock, and a client that sends."""

    def __init__(self, served: ServedAccount | None = None, **behaviour: Any) -> None:
        self.clock = ManualClock()
        self.line = HeldLine()
        self.hanging = threading.Event()
        self.unhang = threading.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        plans = plan(served or account())
        self.desk = AccountDesk(
            plans.accounts[0],
            plans.market(),
            VenueBehaviour(**behaviour),
            clock=self.clock,
            pause=self._pause,
            spawn=self._spawn,
        )
        self.calls = 0

    def _pause(self, _: float) -> None:
        self.hanging.set()
        assert self.unhang.wait(30)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(_raise_error)
        return task

    def send(self, request: dict[str, Any], line: HeldLine | None = None) -> None:
        """Have an order arrive."""
        self.calls += 1
        self.desk.take(line or self.line, self.calls, "order_send", [request], {})

    def open_count(self) -> int:
        """How many positions are open."""
        return len(self.desk.terminal.book.positions)


def _raise_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()
