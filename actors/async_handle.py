"""The engine's handle for asyncio: the same surface as :class:`actors.handle.RiskEngine`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from ray.exceptions import RayError

from actors.calls import Call, EngineCalls, durable_bulk
from actors.engine_trail import EngineTrail
from actors.handle import RiskEngine
from actors.messages import AccountBook, Activated, EngineStatus, EpisodeReport
from actors.repeating import REPEAT_EVERY_S, is_worth_repeating, loss_of, lost_since_then
from audit.certificate import Certificate
from audit.differences import AccountReconciled
from audit.queries import RecordQuery
from audit.records import AuditRecord
from engine.brokers.account_spec import AccountSpec
from engine.config import EngineConfig
from engine.models import BulkCloseResult, CloseResult, GuardTrigger, GuardType
from engine.requests import full_close, partial_close, triggered_close

_T = TypeVar("_T")


class AsyncRiskEngine:
    """A running engine, with awaitable calls; each does what its namesake of the other does.

    Cancelling an await does not cancel what the engine does.
    """

    def __init__(self, engine: RiskEngine) -> None:
        """Use :meth:`start` or :meth:`attach`."""
        self._engine = engine

    @property
    def calls(self) -> EngineCalls:
        """The engine's remote calls; :class:`EngineClosed` once it was shut down."""
        return self._engine.calls

    @classmethod
    async def start(
        cls,
        config: EngineConfig | None = None,
        *,
        address: str | None = None,
        namespace: str | None = None,
    ) -> Self:
        """Start an engine; see :meth:`RiskEngine.start`."""
        engine = await asyncio.to_thread(
            RiskEngine.start, config, address=address, namespace=namespace
        )
        return cls(engine)

    @classmethod
    async def attach(cls, *, namespace: str = "risk-engine", address: str | None = None) -> Self:
        """Get hold of an engine that runs; see :meth:`RiskEngine.attach`."""
        engine = await asyncio.to_thread(RiskEngine.attach, namespace=namespace, address=address)
        return cls(engine)

    async def share(self, name: str, value: object) -> None:
        """Keep a large object for many accounts; name it in options as ``Shared(name)``."""
        await asyncio.to_thread(self.calls.share, name, value)

    async def add_account(self, spec: AccountSpec) -> Activated:
        """Add an account."""
        return (await self._get(self.calls.add_accounts([spec])))[0]

    async def add_accounts(self, specs: Sequence[AccountSpec]) -> list[Activated]:
        """Add several accounts."""
        return await self._get(self.calls.add_accounts(specs))

    async def remove_account(self, user_id: str) -> None:
        """Let go of an account."""
        await self._get(self.calls.remove_account(user_id))

    async def accounts(self) -> list[str]:
        """Name the accounts."""
        return await self._get(self.calls.accounts())

    async def submit(self, trigger: GuardTrigger) -> str:
        """Open an episode."""
        return (await self._get(self.calls.submit([trigger])))[0]

    async def submit_many(self, triggers: Sequence[GuardTrigger]) -> list[str]:
        """Open several episodes at once."""
        return await self._get(self.calls.submit(triggers))

    async def result(self, trigger_id: str, timeout: float | None = None) -> BulkCloseResult:
        """Wait for an episode's end and return its results."""
        (report,) = await self._get(self.calls.reports([trigger_id]), timeout)
        return durable_bulk(report.results, report.durable)

    async def reports(
        self, trigger_ids: Sequence[str], timeout: float | None = None
    ) -> list[EpisodeReport]:
        """Wait for episodes to end and return their reports."""
        return await self._get(self.calls.reports(trigger_ids), timeout)

    async def close_position(
        self,
        position_id: str,
        ticket: int,
        user_id: str,
        close_reason: str,
        close_price: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close one position."""
        request = full_close(
            position_id, ticket, user_id, close_reason, close_price, idempotency_key
        )
        return await self._get(self.calls.close(request))

    async def close_partial(
        self,
        position_id: str,
        ticket: int,
        user_id: str,
        volume: float,
        close_reason: str,
        close_price: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close a part of a position."""
        request = partial_close(
            position_id, ticket, user_id, volume, close_reason, close_price, idempotency_key
        )
        return await self._get(self.calls.close(request))

    async def close_all_positions(
        self,
        user_id: str,
        close_reason: str,
        positions: Sequence[Mapping[str, Any]] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> BulkCloseResult:
        """Close given positions, or all that are open."""
        call = self.calls.close_all(user_id, close_reason, positions, idempotency_key)
        return await self._get(call)

    async def close_position_if_triggered(
        self,
        position_id: str,
        trigger_reason: str,
        guard_type: str,
        user_id: str,
        position_data: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close one position because a guard has tripped."""
        request = triggered_close(
            position_id, trigger_reason, guard_type, user_id, position_data, idempotency_key
        )
        return await self._get(self.calls.close(request))

    async def lock(self, user_id: str, reason: str) -> str:
        """Make an account flat and keep it flat until it is released."""
        return await self.submit(GuardTrigger(user_id, GuardType.OPERATOR, reason))

    async def release(self, user_id: str, by: str = "operator") -> bool:
        """Unlock an account; whether it was locked."""
        return await self._get(self.calls.release(user_id, by))

    async def watch(self, user_ids: Sequence[str] | None = None) -> None:
        """Let the guards watch these accounts, or all."""
        await self._get(self.calls.watch(user_ids))

    async def unwatch(self, user_ids: Sequence[str] | None = None) -> None:
        """Stop the guards of these accounts, or of all."""
        await self._get(self.calls.unwatch(user_ids))

    async def watched_out(self, timeout: float | None = None) -> list[str]:
        """Wait until no account is watched any more."""
        return await self._get(self.calls.watched_out(), timeout)

    async def book(self, user_id: str) -> AccountBook:
        """Read an account's positions and deals from its broker."""
        return (await self._get(self.calls.books([user_id])))[0]

    async def records(self, query: RecordQuery | None = None) -> list[AuditRecord]:
        """Read audit records."""
        return await self._get(self.calls.records(query or RecordQuery()))

    async def certificate(self, trigger_id: str) -> Certificate:
        """Make an episode's flat certificate, from its records alone."""
        return await self._get(self.calls.certificate(trigger_id))

    async def reconcile(self, user_id: str | None = None) -> list[AccountReconciled]:
        """Compare the store with the broker's deals of one account, or of all."""
        return await self._get(self.calls.reconcile(user_id))

    async def trail(self) -> EngineTrail:
        """Read the audit a page at a time; its reads block: make them in a thread."""
        return self._engine.trail()

    async def count_records(self) -> int:
        """Count audit records."""
        return await self._get(self.calls.count_records())

    async def verify_records(self) -> str | None:
        """Check every hash chain."""
        return await self._get(self.calls.verify_records())

    async def status(self) -> EngineStatus:
        """Describe the engine at this moment."""
        return await self._get(self.calls.status())

    async def shutdown(self) -> None:
        """End cleanly."""
        await asyncio.to_thread(self._engine.shutdown)

    async def kill(self) -> None:
        """End at once; see :meth:`RiskEngine.kill`."""
        await asyncio.to_thread(self._engine.kill)

    async def __aenter__(self) -> Self:
        """Use as a context manager: shuts down at its end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shut down."""
        await self.shutdown()

    async def _get(self, call: Call[_T], timeout: float | None = None) -> _T:
        lost_since: float | None = None
        async with asyncio.timeout(timeout):
            while True:
                made = time.monotonic()
                try:
                    return call.read(await call.make())
                except RayError as error:
                    lost = loss_of(error)
                    now = time.monotonic()
                    lost_since = lost_since_then(lost_since, made, now)
                    if not is_worth_repeating(call, error, now - lost_since):
                        raise lost from error
                await asyncio.sleep(REPEAT_EVERY_S)
