"""The whole engine in virtual time, moved on step by step from synchronous code."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from actors.simulation.alarms import silence
from actors.simulation.clients import Clients
from actors.simulation.facts import CallSeen, Run
from actors.simulation.fault_plan import PlannedFault
from actors.simulation.gathering import account_seen, gather_facts
from actors.simulation.injecting import Injector
from actors.simulation.loop import VirtualTimeLoop, cancel_rest
from actors.simulation.plan import Act, Plan
from actors.simulation.run import add_accounts, come_to_rest
from actors.simulation.world import World
from audit.records import AuditRecord, record_of

_T = TypeVar("_T")

QUIET_WITHIN_S = 240.0
"""So long after the last fault the engine must have finished all it was given."""
REST_S = 12.0
"""Looked at once more after this long at rest: flat must stay flat."""
_MEMORY = Path("/dev/shm")


class StagedEngine:
    """An engine, its venues and its clients; time stands still between two calls.

    Args:
        plan: the accounts; it must hold neither acts nor faults.
    """

    def __init__(self, plan: Plan) -> None:
        """Start the engine and add its accounts."""
        self.plan = plan
        self._undo = ExitStack()
        self._undo.enter_context(silence())
        memory = _MEMORY if _MEMORY.is_dir() else None
        folder = Path(tempfile.mkdtemp(prefix="machine-", dir=memory))
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        self._loop = VirtualTimeLoop()
        self._undo.callback(self._loop.close)
        # What a killed process leaves unsaid is part of the play.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._records: dict[str, AuditRecord] = {}
        self._asking: asyncio.Task[None] | None = None
        self._run(self._begin(folder))

    async def _begin(self, folder: Path) -> None:
        self.world = World(self.plan, folder)
        self.clients = Clients(self.world)
        self.clients.open_portfolios()
        self.world.start()
        self._injector = Injector(self.world)
        await add_accounts(self.world, self.clients)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(work)

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self._loop.time()

    @property
    def calls(self) -> list[CallSeen]:
        """Every call that a client has made."""
        return self.clients.calls

    def tickets(self, user_id: str, names: tuple[str, ...]) -> tuple[int, ...]:
        """Translate clients' own names of positions to the venue's."""
        known = {ref.position_id: ref.ticket for ref in self.clients.refs[user_id]}
        return tuple(known[name] for name in names)

    def begin(self, act: Act) -> None:
        """Let somebody do something; see :meth:`await_answer`."""

        async def do() -> None:
            self._asking = self.clients.do(act)

        self._run(do())

    def await_answer(self, patience_s: float) -> bool:
        """Let time pass until what was begun last is answered; whether it is."""
        return self._run(self._await_answer(patience_s))

    async def _await_answer(self, patience_s: float) -> bool:
        if self._asking is None:
            return True
        await asyncio.wait({self._asking}, timeout=patience_s)
        return self._asking.done()

    def strike(self, fault: PlannedFault) -> None:
        """Let something go wrong."""

        async def happen() -> None:
            self._injector.happen(fault)

        self._run(happen())

    def pass_time(self, seconds: float) -> None:
        """Let the engine go on for a while."""
        self._run(asyncio.sleep(seconds))

    def facts(self) -> Run:
        """Write down how everything stands, without letting time pass."""

        async def look() -> Run:
            return Run(
                seed=self.plan.seed,
                observes=self.plan.observes,
                accounts=[
                    account_seen(self.world, self.clients, planned, None)
                    for planned in self.plan.accounts
                ],
                calls=self.calls,
                records=self._recorded(),
                calm_us=0,
                quiet_us=None,
                ended_us=round(self.now_s * 1e6),
                clashes=self.world.board.clashes,
            )

        return self._run(look())

    def _recorded(self) -> list[AuditRecord]:
        for event_id, sealed in self.world.board.records.items():
            if event_id not in self._records:
                self._records[event_id] = record_of(sealed.body)
        return list(self._records.values())

    def finish(self) -> Run:
        """Let nothing go wrong any more, let all become quiet, and write down how it stands."""
        return self._run(self._finish())

    async def _finish(self) -> Run:
        self._injector.calm()
        last_storm_s = max((storm.ends_s for storm in self.plan.storms), default=0.0)
        await asyncio.sleep(max(0.0, last_storm_s - self.now_s))
        quiet_us = await come_to_rest(self.world, self.clients, self.now_s + QUIET_WITHIN_S)
        await asyncio.sleep(REST_S)
        return await gather_facts(self.world, self.clients, quiet_us)

    def close(self) -> None:
        """Stop everything and remove the files."""
        with self._undo:
            try:
                cancel_rest(self._loop)
            finally:
                self.world.close()
