"""The network between simulated processes: calls that are late, lost, doubled, overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from actors.links import ActorLost
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.process import Process

Answer = Callable[[bool, Any], None]
"""Takes what a call gave: ``True`` and its value, or ``False`` and its exception."""


class Target(Protocol):
    """Somebody who can be called: the present life of an actor."""

    process: Process

    def deliver(self, method: str, args: tuple[Any, ...], answer: Answer) -> None:
        """Take a call that has arrived; ``answer`` is told when it is done."""
        ...


class NobodyAnswered(ActorLost):
    """The network's own word that a call was lost, on its way, on its way back, or with its actor.

    Apart from an :class:`ActorLost` that an actor that did answer reports of another.
    """


@dataclass(frozen=True, slots=True)
class Storm:
    """A time of trouble on some routes. Rates are probabilities for each message."""

    begins_s: float
    ends_s: float
    kind: Disturbance
    rate: float
    user_id: str | None = None
    """Only messages that concern this account; ``None`` is all."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long messages travel, in seconds."""

    least_s: float = 0.0002
    most_s: float = 0.003
    delayed_most_s: float = 2.0
    loss_noticed_s: float = 1.0
    """After this a caller whose message or reply was lost is told that nobody answers."""
    death_noticed_s: float = 0.05


class Network:
    """Carries calls.

    Args:
        random: decides the fate of each message.
        storms: when what goes wrong how often.
        happened: told of every fault: its kind and the account concerned (empty: all).
        latency: of messages.
        sent: told of every call that a process sends: who, and its method.
        arrived: told of every call that has reached a living process, likewise.
    """

    def __init__(
        self,
        random: Random,
        storms: tuple[Storm, ...] = (),
        *,
        happened: Callable[[Disturbance, str], None] = lambda _kind, _user: None,
        latency: Latency | None = None,
        sent: Callable[[Process, str], None] = lambda _process, _method: None,
        arrived: Callable[[Process, str], None] = lambda _process, _method: None,
    ) -> None:
        """Begin at the running loop's present time; must be made outside any process."""
        self._loop = asyncio.get_running_loop()
        self._context: Context = copy_context()
        self._random = random
        self._storms = storms
        self._last_end = max((storm.ends_s for storm in storms), default=0.0)
        self._happened = happened
        self._latency = latency or Latency()
        self._sent = sent
        self._has_arrived = arrived
        self._arrived: dict[tuple[str, str], int] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back after ``seconds``, whoever lives or dies meanwhile."""
        self._context.run(self._loop.call_later, seconds, callback)

    async def call(
        self,
        caller: Process,
        find: Callable[[], Target | None],
        method: str,
        *args: Any,
        user_id: str = "",
        route: str = "",
    ) -> Any:
        """Call ``method`` of whoever ``find`` finds when the request arrives.

        Raises:
            NobodyAnswered: what became of the call is unknown.
        """
        caller.check()
        answered = self._loop.create_future()

        def answer(is_good: bool, value: Any) -> None:
            caller.when_running(lambda: _resolve(answered, is_good, value))

        self.send(caller, find, method, args, answer, user_id=user_id, route=route)
        result = await answered
        caller.check()
        return result

    def send(
        self,
        caller: Process,
        find: Callable[[], Target | None],
        method: str,
        args: tuple[Any, ...],
        answer: Answer,
        *,
        user_id: str = "",
        route: str = "",
    ) -> None:
        """Send a call without waiting; ``answer`` is told once what it gave."""
        if not caller.is_alive:
            return
        self._sent(caller, method)
        fates = self._fates(user_id)
        told = _Once(answer)
        lost_s = self._latency.loss_noticed_s
        if caller.is_cut_off or Disturbance.REQUEST_LOST in fates:
            if not caller.is_cut_off:
                self._happened(Disturbance.REQUEST_LOST, user_id)
            lost = NobodyAnswered(f"{route}.{method}: the request was lost")
            self.after(lost_s, lambda: told(False, lost))
            return
        is_reply_lost = Disturbance.REPLY_LOST in fates
        number = self._number(route, user_id)

        reached: Process | None = None

        def arrive(is_copy: bool) -> None:
            nonlocal reached
            self._notice_overtaking(route, user_id, number, is_copy)
            target = find()
            if target is None or not target.process.is_alive:
                gone = NobodyAnswered(f"{route}.{method}: there is no such actor just now")
                self.after(self._latency.death_noticed_s, lambda: told(False, gone))
                return
            if is_copy:
                if target.process is not reached:
                    return  # a connection, and what is still in it, ends with its process
                target.deliver(method, args, lambda _good, _value: None)
                return
            reached = target.process
            self._has_arrived(target.process, method)
            dead = NobodyAnswered(f"{route}.{method}: the actor died in the call")
            target.process.at_death(
                lambda: self.after(self._latency.death_noticed_s, lambda: told(False, dead))
            )
            target.deliver(method, args, lambda good, value: self._reply(told, good, value, fates))

        if is_reply_lost:
            self._happened(Disturbance.REPLY_LOST, user_id)
        self.after(self._travel_s(fates, user_id), lambda: arrive(False))
        if Disturbance.MESSAGE_DOUBLED in fates:
            self._happened(Disturbance.MESSAGE_DOUBLED, user_id)
            self.after(self._travel_s(fates, user_id) + lost_s / 2, lambda: arrive(True))

    def _reply(self, told: _Once, good: bool, value: Any, fates: frozenset[Disturbance]) -> None:
        if Disturbance.REPLY_LOST in fates:
            lost = NobodyAnswered("the reply was lost")
            self.after(self._latency.loss_noticed_s, lambda: told(False, lost))
        else:
            self.after(self._base_s(), lambda: told(good, value))

    def _fates(self, user_id: str) -> frozenset[Disturbance]:
        now = self._loop.time()
        if now >= self._last_end:
            return frozenset()
        return frozenset(
            storm.kind
            for storm in self._storms
            if storm.begins_s <= now < storm.ends_s
            and storm.user_id in (None, user_id)
            and self._random.random() < storm.rate
        )

    def _base_s(self) -> float:
        return self._random.uniform(self._latency.least_s, self._latency.most_s)

    def _travel_s(self, fates: frozenset[Disturbance], user_id: str) -> float:
        if Disturbance.MESSAGE_DELAYED in fates:
            self._happened(Disturbance.MESSAGE_DELAYED, user_id)
            return self._random.uniform(0.1, self._latency.delayed_most_s)
        if Disturbance.MESSAGE_REORDERED in fates:
            return self._random.uniform(self._latency.most_s, 30 * self._latency.most_s)
        return self._base_s()

    def _number(self, route: str, user_id: str) -> int:
        place = route, user_id
        number = self._numbers[place] = self._numbers.get(place, 0) + 1
        return number

    def _notice_overtaking(self, route: str, user_id: str, number: int, is_copy: bool) -> None:
        place = route, user_id
        last = self._arrived.get(place, 0)
        if number > last:
            self._arrived[place] = number
        elif not is_copy:
            self._happened(Disturbance.MESSAGE_REORDERED, user_id)


class _Once:
    """Hands on the first answer only."""

    def __init__(self, answer: Answer) -> None:
        self._answer: Answer | None = answer

    def __call__(self, is_good: bool, value: Any) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(is_good, value)


def _resolve(future: asyncio.Future[Any], is_good: bool, value: Any) -> None:
    if future.done():
        return
    if is_good:
        future.set_result(value)
    else:
        future.set_exception(value)
