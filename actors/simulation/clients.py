"""Clients, owners and operators: they do what is planned, and ask again until they are told."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Coroutine
from functools import partial
from random import Random
from typing import Any

from actors.messages import EpisodeReport
from actors.simulation.facts import CallSeen
from actors.simulation.network import NobodyAnswered
from actors.simulation.plan import Act, ActKind
from actors.simulation.portfolio import SYMBOLS
from actors.simulation.process import Process
from actors.simulation.terminals import VenueTerminal
from actors.simulation.world import World
from audit.errors import AuditError
from engine.clock import to_datetime
from engine.errors import IdempotencyConflict, RiskEngineError
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import BulkCloseResult, GuardTrigger, GuardType, PositionRef

RETRY_S = 0.5
ANSWER_S = 30.0
"""A client that hears nothing for so long asks again."""
COMES_LATE = 0.15
"""Share of the triggers whose client, if it was not answered, comes again much later."""
LATE_S = (70.0, 150.0)
"""How much later: when lives that knew nothing of its trigger have long been at work."""


class Clients:
    """Everybody outside the engine."""

    def __init__(self, world: World) -> None:
        """Know the world; see :meth:`schedule`."""
        self._world = world
        self._process = Process("clients")
        self._random = Random(f"clients/{world.plan.seed}")
        self.calls: list[CallSeen] = []
        self.refs: dict[str, list[PositionRef]] = {}
        self.pending_placed: dict[str, list[tuple[int, int]]] = {}
        self._mandates: dict[int, Mandate] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def schedule(self) -> None:
        """Set a timer for each act."""
        for act in self._world.plan.acts:
            self._world.later(act.at_s, partial(self.do, act))

    @property
    def are_done(self) -> bool:
        """Whether every call has been answered."""
        return all(task.done() for task in self._tasks)

    async def ask(self, method: str, *args: Any) -> Any:
        """Call the supervisor once.

        Raises:
            NobodyAnswered: what became of the call is unknown.
        """
        call = self._world.network.call(
            self._process, self._world.supervisor, method, *args, route="client-supervisor"
        )
        try:
            return await asyncio.wait_for(call, ANSWER_S)
        except TimeoutError as error:
            raise NobodyAnswered(f"{method}: no answer within {ANSWER_S} s") from error

    async def ask_until_answered(
        self, method: str, *args: Any, call: CallSeen | None = None, late_s: float = 0.0
    ) -> Any:
        """Call the supervisor again and again until it answers; only after ``late_s`` at first."""
        while True:
            try:
                return await self.ask(method, *args)
            except (NobodyAnswered, AuditError) as error:
                if call is not None:
                    call.was_unanswered = True
                self._world.history.note("unanswered", call=method, why=type(error).__name__)
            await asyncio.sleep(max(RETRY_S, late_s))
            if call is not None and late_s:
                call.came_late_us, late_s = round(self._world.time.seconds() * 1e6), 0.0

    # --- owners and operators ---------------------------------------------------------------

    def open_portfolios(self) -> None:
        """Open the positions that every account begins with."""
        for account in self._world.plan.accounts:
            terminal = self._world.venues[account.user_id].terminal
            refs = self.refs.setdefault(account.user_id, [])
            for planned in account.positions:
                bid, ask = terminal.bid_ask(planned.symbol)
                stop = 0.0
                if planned.stop:
                    price = bid if planned.sign > 0 else ask
                    stop = round(price * (1 - planned.sign * planned.stop), 3)
                opened = terminal.open_by_hand(planned.symbol, planned.sign, planned.volume, stop)
                refs.append(self._ref(terminal, planned.symbol, opened))

    def _ref(self, terminal: VenueTerminal, symbol: str, ticket: int | None) -> PositionRef:
        book = terminal.book
        if ticket not in book.positions:
            slot = terminal.market.slot(symbol)
            net = None if slot is None else book.position_of(slot)
            ticket = ticket if net is None else net.ticket
        assert ticket is not None
        name = f"own-{ticket}" if ticket % 2 else str(ticket)
        return PositionRef(name, ticket)

    def do(self, act: Act) -> asyncio.Task[None] | None:
        """Begin what somebody does; the task ends when the engine has answered, if it is asked."""
        venue = self._world.venues[act.user_id]
        terminal = venue.terminal
        if act.kind in (ActKind.OPEN, ActKind.PLACE, ActKind.CLOSE_BY_HAND, ActKind.DEPOSIT):
            venue.catch_up()
            symbol = SYMBOLS[int(act.share * len(SYMBOLS))]
            _, ask = terminal.bid_ask(symbol)
            if act.kind is ActKind.OPEN:
                ticket = terminal.open_by_hand(symbol, 1, 0.1)
                if not venue.is_hedging:
                    ticket = None  # it may only have enlarged or reduced a net position
                self._world.history.note("opened", act.user_id, ticket=ticket)
            elif act.kind is ActKind.PLACE:
                near = round(ask * (1 - 0.02 * act.share), 3)
                ticket = terminal.place_by_hand(symbol, 1, 0.1, near)
                if ticket is not None:
                    placed = self.pending_placed.setdefault(act.user_id, [])
                    placed.append((venue.now_us(), ticket))
                self._world.history.note("placed", act.user_id, ticket=ticket)
            elif act.kind is ActKind.CLOSE_BY_HAND:
                tickets = list(terminal.book.positions)
                if tickets:
                    ticket = tickets[int(act.share * len(tickets))]
                    terminal.close_by_hand(ticket)
                    self._world.history.note("by-hand", act.user_id, ticket=ticket)
            else:
                terminal.deposit(1_000.0)
            venue.notice()
            return None
        if act.kind is ActKind.RELEASE:
            return self._ask(self._release(act))
        made = self._mandate(act)
        if made is None:
            return None
        mandate, call = made
        self.calls.append(call)
        self._mandates[act.number] = mandate
        late_s = 0.0
        if act.share < COMES_LATE:
            late_s = LATE_S[0] + act.share / COMES_LATE * (LATE_S[1] - LATE_S[0])
        return self._ask(self._carry(mandate, call, late_s))

    def _ask(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._process.run(work)
        self._tasks.append(task)
        return task

    async def _release(self, act: Act) -> None:
        try:
            await self.ask_until_answered("release", act.user_id, "operator")
        except RiskEngineError as error:
            self._world.history.note("refused", act.user_id, error=type(error).__name__)
            return
        self._world.history.note("released", act.user_id)

    # --- clients ----------------------------------------------------------------------------

    def _mandate(self, act: Act) -> tuple[Mandate, CallSeen] | None:
        if act.kind in (ActKind.REPEAT, ActKind.CONFLICT):
            first = self._mandates.get(act.of)
            if first is None:
                return None
            mandate = (
                self._again(first, act) if act.kind is ActKind.REPEAT else self._other(first, act)
            )
            of = next(c.number for c in self.calls if c.number == act.of)
            call = self._call(act, mandate)
            if act.kind is ActKind.REPEAT:
                call.repeats = of
            else:
                call.contradicts = of
            return mandate, call
        refs = self.refs[act.user_id]
        positions = None
        if act.positions is not None:
            chosen = {refs[place].ticket: refs[place] for place in act.positions}
            positions = tuple(chosen.values())
        if act.kind is ActKind.SUBMIT:
            trigger = GuardTrigger(
                act.user_id,
                GuardType.DRAWDOWN,
                f"act {act.number}",
                act.severity,
                positions,
                act.key,
                to_datetime(self._world.time.wall_us()),
            )
            return trigger, self._call(act, trigger)
        volume = None
        if act.kind is ActKind.CLOSE_PART:
            planned = next(a for a in self._world.plan.accounts if a.user_id == act.user_id)
            assert act.positions is not None
            whole = planned.positions[act.positions[0]].volume
            volume = max(0.01, round(whole * act.share, 2))
        close = DirectClose(
            episode_id=f"direct-{act.number}",
            user_id=act.user_id,
            reason=f"act {act.number}",
            positions=positions,
            key=act.key or None,
            volume=volume,
            is_bulk=act.kind in (ActKind.CLOSE_SOME, ActKind.CLOSE_ALL),
        )
        return close, self._call(act, close)

    def _again(self, first: Mandate, act: Act) -> Mandate:
        if isinstance(first, GuardTrigger) or act.share < 0.5:
            return first
        return DirectClose(
            f"direct-{act.number}",
            first.user_id,
            first.reason,
            first.positions,
            first.key,
            first.volume,
            is_bulk=first.is_bulk,
        )

    def _other(self, first: Mandate, act: Act) -> Mandate:
        if isinstance(first, GuardTrigger):
            users = [account.user_id for account in self._world.plan.accounts]
            other = users[(users.index(first.user_id) + 1) % len(users)]
            if other == first.user_id or act.share < 0.5:
                scope = None if first.positions is not None else (self.refs[first.user_id][0],)
                return GuardTrigger(
                    first.user_id, first.guard, first.reason, first.severity, scope,
                    first.trigger_id, first.triggered_at,
                )  # fmt: skip
            return GuardTrigger(
                other, first.guard, first.reason, first.severity, first.positions,
                first.trigger_id, first.triggered_at,
            )  # fmt: skip
        volume = 0.02 if first.volume is None else round(first.volume + 0.01, 2)
        return DirectClose(
            f"direct-{act.number}",
            first.user_id,
            first.reason,
            first.positions,
            first.key,
            volume,
            is_bulk=first.is_bulk,
        )

    def _call(self, act: Act, mandate: Mandate) -> CallSeen:
        refs = mandate.positions
        is_trigger = isinstance(mandate, GuardTrigger)
        one = isinstance(mandate, DirectClose) and not mandate.is_bulk
        key = mandate.trigger_id if isinstance(mandate, GuardTrigger) else mandate.key or ""
        return CallSeen(
            number=act.number,
            user_id=mandate.user_id,
            kind="trigger" if is_trigger else "close" if one else "bulk",
            episode=episode_id_of(mandate),
            key=key,
            positions=None if refs is None else tuple(ref.position_id for ref in refs),
            volume=None if isinstance(mandate, GuardTrigger) else mandate.volume,
            begun_us=round(self._world.time.seconds() * 1e6),
            ticket=refs[0].ticket if refs and one else None,
        )

    async def _carry(self, mandate: Mandate, call: CallSeen, late_s: float) -> None:
        history, time = self._world.history, self._world.time
        history.note("call", call.user_id, number=call.number, what=call.kind, key=call.key)
        try:
            if isinstance(mandate, GuardTrigger):
                await self.ask_until_answered("submit", (mandate,), call=call, late_s=late_s)
                call.acknowledged_us = round(time.seconds() * 1e6)
                history.note("accepted", call.user_id, number=call.number)
                (report,) = await self.ask_until_answered("reports", (call.episode,))
                assert isinstance(report, EpisodeReport)
                self._take(call, report.results, report.durable)
                call.state = report.state.value
            else:
                results, durable = await self.ask_until_answered("close", mandate, call=call)
                self._take(call, results, durable)
            call.status = "ok"
        except IdempotencyConflict as error:
            call.status, call.error = "conflict", str(error)
        except (RiskEngineError, ValueError, KeyError) as error:
            call.status, call.error = "refused", f"{type(error).__name__}: {error}"
        call.ended_us = round(time.seconds() * 1e6)
        history.note(
            "answered",
            call.user_id,
            number=call.number,
            status=call.status,
            state=call.state,
            outcomes=[r.outcome.value for r in call.results],
            error=call.error[:120],
        )

    @staticmethod
    def _take(call: CallSeen, results: bytes, durable: bool) -> None:
        bulk = pickle.loads(results)  # the engine's own, from this very process
        assert isinstance(bulk, BulkCloseResult)
        call.results = bulk.results
        call.is_durable = durable
