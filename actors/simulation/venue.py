"""The venue: one account's books, reached over a way that takes time, and what it has seen.

It outlives every process of the engine. It notes every close request with what its sender had
read before, so that a check can say later whether the request should have been sent.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from actors.simulation.clock import TrueTime
from actors.simulation.network import Network
from actors.simulation.process import Process
from actors.simulation.terminals import LiveFaults, VenueTerminal
from actors.simulation.timing import SETTLE_WINDOW_S
from engine.brokers.terminal_calls import TerminalReply
from engine.identity import is_close_tag
from engine.simulated.account import AccountSettings
from engine.simulated.faults import EXECUTED_LATER, Fault, FaultKind
from engine.simulated.market import Market
from engine.simulated.numbers import Action, Retcode

_INCONCLUSIVE = frozenset({Retcode.TIMEOUT, Retcode.PLACED, Retcode.ERROR})


@dataclass(slots=True)
class CloseSeen:
    """One close request as the venue knows it. Times are µs since the simulation's beginning."""

    user_id: str
    number: int
    """Counts the account's requests."""
    process: str
    ticket: int
    symbol: str
    volume: float
    tag: str
    sent_us: int
    """When its sender handed it to its terminal, which may have held it for a while."""
    read_volume: float | None
    """Lots of the position at its sender's last read since the request before; ``None``: the
    sender had not read it since."""
    read_at_us: int | None
    open_before: float | None = None
    """Lots really open at its arrival, on the side that it would reduce."""
    arrived_us: int | None = None
    answered_us: int | None = None
    """When the sender had the answer; ``None``: it never did."""
    acts_until_us: int | None = None
    """Until when it can move volume; ``None`` while it travels."""
    executed_volume: float = 0.0
    executed_us: int | None = None
    is_conclusive: bool = True
    read_deals: int = 0
    """How many deals the account had when it was read."""
    ours_between: float = 0.0
    """Lots that our own requests took out of the position since the sender's read."""

    @property
    def is_overdue(self) -> bool:
        """Whether it reached the venue later than any client waits for."""
        return (
            self.arrived_us is not None and self.arrived_us - self.sent_us > SETTLE_WINDOW_S * 1e6
        )

    @property
    def is_late(self) -> bool:
        """Whether the venue took it and carries it out later."""
        return self.acts_until_us is not None and self.acts_until_us != self.arrived_us


class VenueAccount:
    """One account at the venue.

    Args:
        user_id: whose.
        market: shared prices.
        settings: of the account.
        time: true time, which is the market's time.
        random: decides latencies.
        network: carries requests, whoever dies meanwhile.
        struck: told of every fault of the terminal.
        handed_over: told of every process that hands an order over.
        seed: of the terminal's own draws.
    """

    def __init__(
        self,
        user_id: str,
        market: Market,
        settings: AccountSettings,
        *,
        time: TrueTime,
        random: Random,
        network: Network,
        struck: Callable[[Fault], None],
        noted: Callable[..., object],
        seed: int,
        handed_over: Callable[[Process], object] = lambda _process: None,
    ) -> None:
        """Open the account."""
        self.user_id = user_id
        self.settings = settings
        self.is_hedging = settings.is_hedging
        self.time = time
        self.network = network
        self.random = random
        self.faults = LiveFaults(seed, lambda: time.seconds() * 1e3, self._strike)
        self.terminal = VenueTerminal(market, settings, self.faults)
        self.closes: list[CloseSeen] = []
        self.deal_us: list[int] = []
        """When each deal of the book was made."""
        self.pending_cancels: list[tuple[int, int]] = []
        """When (µs) which pending order was asked to be cancelled."""
        self.hanging: dict[str, FaultKind] = {}
        """Processes that hang in a call of this terminal."""
        self._struck = struck
        self._noted = noted
        self._handed_over = handed_over
        self._latest: Fault | None = None
        self._arriving: CloseSeen | None = None
        self._reads: dict[tuple[str, int], tuple[float, int, int]] = {}

    def now_us(self) -> int:
        """Return µs since the beginning."""
        return round(self.time.seconds() * 1e6)

    def catch_up(self) -> None:
        """Move the market to the present moment."""
        now = self.time.wall_ms()
        if now > self.terminal.time_ms:
            self.terminal.move_to(now)
        self.notice()

    def notice(self) -> None:
        """Date the deals that are new, and note which requests they carry out.

        The venue dates a deal by its tick, and a check needs the very moment.
        """
        deals, now = self.terminal.book.deals, self.now_us()
        for deal in deals[len(self.deal_us) :]:
            self.deal_us.append(now)
            if not is_close_tag(deal.comment):
                continue
            sent = [seen for seen in self.closes if seen.tag == deal.comment and seen.arrived_us]
            late = [seen for seen in sent if seen.is_late and not seen.executed_volume]
            seen = (late or sent)[-1] if not self._arriving else self._arriving
            seen.executed_volume += deal.volume
            seen.executed_us = now

    def _strike(self, fault: Fault) -> None:
        self._latest = fault
        self._struck(fault)

    def _struck_last(self) -> Fault | None:
        return self._latest

    def read(
        self, process: Process, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Carry out any call but an order."""
        self.catch_up()
        value = getattr(self.terminal, function)(*args, **kwargs)
        if function == "positions_get" and value is not None:
            self._note_read(process, value, kwargs.get("ticket"))
        return value

    def _note_read(self, process: Process, found: tuple[Any, ...], ticket: int | None) -> None:
        now = self.now_us()
        if ticket is not None and not found:
            self._reads.pop((process.name, ticket), None)
        for position in found:
            self._reads[process.name, position.ticket] = (
                position.volume,
                now,
                len(self.terminal.book.deals),
            )

    def leaves(
        self, process: Process, request: Mapping[str, Any], handed_us: int
    ) -> CloseSeen | None:
        """Note that an order leaves its sender; ``None`` if it is no close."""
        self._handed_over(process)
        if request.get("action") != Action.DEAL:
            if request.get("action") == Action.REMOVE:
                self.pending_cancels.append((self.now_us(), int(request.get("order", 0))))
            return None
        ticket = int(request.get("position", 0))
        read = self._reads.pop((process.name, ticket), None)
        seen = CloseSeen(
            user_id=self.user_id,
            number=len(self.closes) + 1,
            process=process.name,
            ticket=ticket,
            symbol=str(request.get("symbol", "")),
            volume=float(request.get("volume", 0.0)),
            tag=str(request.get("comment", "")),
            sent_us=handed_us,
            read_volume=None if read is None else read[0],
            read_at_us=None if read is None else read[1],
            read_deals=0 if read is None else read[2],
        )
        self.closes.append(seen)
        self._noted(
            "order",
            self.user_id,
            number=seen.number,
            ticket=ticket,
            volume=seen.volume,
            process=process.name,
            read=seen.read_volume,
        )
        return seen

    def _ours_since(self, seen: CloseSeen) -> float:
        deals = self.terminal.book.deals[seen.read_deals :]
        return math.fsum(
            d.volume for d in deals if d.symbol == seen.symbol and is_close_tag(d.comment)
        )

    def arrives(self, request: Mapping[str, Any], seen: CloseSeen | None) -> Any:
        """Carry out an order that has arrived; returns the terminal's answer."""
        self.catch_up()
        if seen is None:
            return self.terminal.order_send(dict(request))
        book = self.terminal.book
        now = self.now_us()
        seen.arrived_us = seen.acts_until_us = now
        position = book.positions.get(seen.ticket)
        if position is None and not self.is_hedging:
            slot = self.terminal.market.slot(seen.symbol)
            position = None if slot is None else book.position_of(slot)
        seen.open_before = 0.0 if position is None else position.volume
        if seen.read_volume is not None:
            seen.ours_between = self._ours_since(seen)
        self._latest, self._arriving = None, seen
        answer = self.terminal.order_send(dict(request))
        self.notice()
        fault = self._struck_last()
        self._arriving = None
        if fault is not None and fault.kind in EXECUTED_LATER:
            delay_s = (fault.delay_ms or 0.0) / 1e3
            seen.acts_until_us = now + round(delay_s * 1e6)
            self.network.after(delay_s + 0.001, self.catch_up)
        seen.is_conclusive = answer is not None and answer.retcode not in _INCONCLUSIVE
        self._noted(
            "arrived",
            self.user_id,
            number=seen.number,
            ticket=seen.ticket,
            code=None if answer is None else int(answer.retcode),
            executed=seen.executed_volume,
        )
        return answer


class VenueCalls:
    """One process's way to its terminal, an :class:`engine.brokers.terminal_calls.TerminalCalls`.

    A call that hangs stops the whole process, as a binding does that never lets go of the
    interpreter lock.
    """

    def __init__(self, account: VenueAccount, process: Process) -> None:
        """Reach ``account`` from ``process``."""
        self._account = account
        self._process = process

    async def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> TerminalReply:
        """Call the terminal; the request travels, acts, and its answer travels back."""
        process, account = self._process, self._account
        process.check()
        handed_us = account.now_us()
        hang = account.faults.take_hang(function) if process.can_hang else None
        if hang is not None and hang.kind is FaultKind.HANG:
            await self._hang(hang.seconds, hang.kind)
        if function == "order_send":
            value = await self._order(args[0], hang, handed_us)
        else:
            await asyncio.sleep(account.random.uniform(0.0002, 0.004))
            process.check()
            value = account.read(process, function, args, kwargs)
        process.check()
        if value is None or value is False:
            return TerminalReply(value, account.terminal.last_error())
        return TerminalReply(value)

    async def _order(self, request: Mapping[str, Any], hang: Fault | None, handed_us: int) -> Any:
        process, account, network = self._process, self._account, self._account.network
        seen = account.leaves(process, request, handed_us)
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def act() -> None:
            answer = account.arrives(request, seen)
            network.after(account.random.uniform(0.001, 0.03), lambda: come_back(answer))

        def come_back(answer: Any) -> None:
            process.when_running(lambda: give(answer))

        def give(answer: Any) -> None:
            if seen is not None:
                seen.answered_us = account.now_us()
            if not answered.done():
                answered.set_result(answer)

        network.after(account.random.uniform(0.002, 0.08), act)
        if hang is not None and hang.kind is FaultKind.HANG_AFTER_EXECUTION:
            await self._hang(hang.seconds, hang.kind)
        return await answered

    async def _hang(self, seconds: float, kind: FaultKind) -> None:
        process, account = self._process, self._account
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def let_go() -> None:
            account.hanging.pop(process.name, None)
            if process.is_alive:
                process.go_on()
                over.set_result(None)

        process.stop()
        account.hanging[process.name] = kind
        account.network.after(seconds, let_go)
        await over
