"""Remote calls to a running engine, apart from how their answers are waited for."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import uuid4

import ray

from actors import placement
from actors.messages import AccountBook, Activated, EngineStatus, EpisodeReport
from actors.placement import AUDIT, READING, SUPERVISOR, ActorRef, account_name
from actors.registry import Registry
from audit.queries import RecordQuery
from audit.records import AuditRecord
from engine import arguments
from engine.brokers.account_spec import AccountSpec
from engine.bulk import sound_entries
from engine.errors import RiskEngineError
from engine.mandates import DirectClose
from engine.models import (
    BulkCloseResult,
    CloseRequest,
    CloseResult,
    GuardTrigger,
    PositionRef,
)

_T = TypeVar("_T")


class EngineNotFound(RiskEngineError, LookupError):
    """No engine runs in this namespace."""


@dataclass(frozen=True, slots=True)
class Call(Generic[_T]):
    """A remote call that can be made, and how to read its answer."""

    make: Callable[[], ray.ObjectRef[Any]]
    read: Callable[[Any], _T]
    may_repeat: bool = True
    """Whether it may be made again when the actor was lost in mid-call: it has a name or a key,
    so that it is done once whatever happens, or it changes nothing."""


class EngineCalls:
    """Makes the remote calls that the blocking and the awaitable handle wait for.

    Args:
        namespace: the engine's.

    Raises:
        EngineNotFound: no engine runs there.
    """

    def __init__(self, namespace: str) -> None:
        """Find the engine's supervisor and audit actor."""
        self.namespace = namespace
        try:
            self.supervisor: ActorRef = placement.find(namespace, SUPERVISOR)
            self.audit: ActorRef = placement.find(namespace, AUDIT)
        except ValueError as error:
            raise EngineNotFound(
                f"no engine runs in namespace={namespace!r}; start one with RiskEngine.start()"
            ) from error

    def share(self, name: str, value: object) -> None:
        """Keep a large object for many accounts; name it in options as ``Shared(name)``."""
        Registry(self.namespace).put("shared", name, value)

    def add_accounts(self, specs: Sequence[AccountSpec]) -> Call[list[Activated]]:
        """Add accounts."""
        for spec in specs:
            if not isinstance(spec, AccountSpec):
                arguments.refuse("spec", spec, "it must be an AccountSpec")
        call = partial(self.supervisor.add_accounts.remote, list(specs))
        return Call(call, list, may_repeat=False)

    def remove_account(self, user_id: str) -> Call[None]:
        """Let go of an account."""
        call = partial(self.supervisor.remove_account.remote, user_id)
        return Call(call, _nothing, may_repeat=False)

    def accounts(self) -> Call[list[str]]:
        """Name the accounts."""
        return Call(self.supervisor.accounts.remote, list)

    def submit(self, triggers: Sequence[GuardTrigger]) -> Call[list[str]]:
        """Open episodes."""
        for trigger in triggers:
            if not isinstance(trigger, GuardTrigger):
                arguments.refuse("trigger", trigger, "it must be a GuardTrigger")
        return Call(partial(self.supervisor.submit.remote, list(triggers)), list)

    def reports(self, trigger_ids: Sequence[str]) -> Call[list[EpisodeReport]]:
        """Wait for episodes."""
        return Call(partial(self.supervisor.reports.remote, list(trigger_ids)), list)

    def close(self, request: CloseRequest) -> Call[CloseResult]:
        """Close one position."""
        mandate = DirectClose(
            episode_id=str(uuid4()),
            user_id=request.user_id,
            reason=request.close_reason,
            positions=(PositionRef(request.position_id, request.ticket),),
            key=request.idempotency_key,
            volume=request.volume,
            close_price=request.close_price,
            initiator=request.initiator,
        )
        return Call(partial(self.supervisor.close.remote, mandate), _only_result)

    def close_all(
        self,
        user_id: str,
        reason: str,
        positions: Sequence[Mapping[str, Any]] | None,
        key: str | None,
    ) -> Call[BulkCloseResult]:
        """Close positions of an account; an invalid entry is a failed result of its own."""
        arguments.nonempty_text("user_id", user_id)
        arguments.nonempty_text("close_reason", reason)
        refs, broken = sound_entries(positions, reason, datetime.now(UTC))
        mandate = DirectClose(str(uuid4()), user_id, reason, refs, key, is_bulk=True)

        def read(answer: tuple[bytes, bool]) -> BulkCloseResult:
            bulk = durable_bulk(*answer)
            return BulkCloseResult.of(reason, [*bulk.results, *broken])

        return Call(partial(self.supervisor.close.remote, mandate), read)

    def release(self, user_id: str, by: str) -> Call[bool]:
        """Unlock an account."""
        arguments.nonempty_text("user_id", user_id)
        arguments.nonempty_text("by", by)
        # Not repeated: by then, something may have locked the account anew.
        call = partial(self.supervisor.release.remote, user_id, by)
        return Call(call, bool, may_repeat=False)

    def watch(self, user_ids: Sequence[str] | None) -> Call[None]:
        """Let guards watch."""
        return Call(partial(self.supervisor.watch.remote, user_ids), _nothing)

    def unwatch(self, user_ids: Sequence[str] | None) -> Call[None]:
        """Stop guards."""
        return Call(partial(self.supervisor.unwatch.remote, user_ids), _nothing)

    def watched_out(self) -> Call[list[str]]:
        """Wait until no account is watched."""
        return Call(self.supervisor.watched_out.remote, list)

    def books(self, user_ids: Sequence[str]) -> Call[list[AccountBook]]:
        """Read the brokers' books."""
        return Call(partial(self.supervisor.books.remote, list(user_ids)), list)

    def status(self) -> Call[EngineStatus]:
        """Describe the engine."""
        return Call(self.supervisor.status.remote, _same)

    def records(self, query: RecordQuery) -> Call[list[AuditRecord]]:
        """Read the audit."""
        call = self.audit.records.options(concurrency_group=READING)
        return Call(partial(call.remote, query), list)

    def reading(self, what: str, *arguments: object) -> Call[Any]:
        """Read the audit as one of the methods of :class:`audit.trail.Trail` does."""
        call = getattr(self.audit, what).options(concurrency_group=READING)
        return Call(partial(call.remote, *arguments), _same)

    def count_records(self) -> Call[int]:
        """Count the audit."""
        return Call(self.audit.count.options(concurrency_group=READING).remote, int)

    def verify_records(self) -> Call[str | None]:
        """Check the chains."""
        return Call(self.audit.verify.options(concurrency_group=READING).remote, _same)

    def drain_audit(self, timeout_s: float) -> Call[bool]:
        """Wait for the store."""
        call = self.audit.drain.options(concurrency_group=READING)
        return Call(partial(call.remote, timeout_s), bool)

    def stop_supervisor(self) -> Call[None]:
        """End cleanly."""
        return Call(self.supervisor.shutdown.remote, _nothing)

    def close_audit(self) -> Call[None]:
        """Close journal and store."""
        return Call(self.audit.close.remote, _nothing)

    def end_actors(self) -> None:
        """End the actors that are left, and forget the engine."""
        registry = Registry(self.namespace)
        accounts = [account_name(user_id) for user_id in registry.names("account")]
        for name in (SUPERVISOR, *accounts, AUDIT):
            placement.end(self.namespace, name)
        registry.clear()


def _nothing(_: Any) -> None:
    return None


def _same(value: Any) -> Any:
    return value


def _only_result(answer: tuple[bytes, bool]) -> CloseResult:
    (result,) = durable_bulk(*answer).results
    return result


def durable_bulk(data: bytes, durable: bool = True) -> BulkCloseResult:
    """Unpickle the results of a call whose records are on disk."""
    bulk: BulkCloseResult = pickle.loads(data)
    results = tuple(replace(r, durable=durable and bool(r.close_id)) for r in bulk.results)
    return replace(bulk, results=results)
