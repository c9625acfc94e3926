"""The engine's handle: what an embedding platform holds. Its calls block."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError

from actors import placement
from actors.audit_process import AuditProcess
from actors.calls import Call, EngineCalls, durable_bulk
from actors.engine_trail import EngineTrail
from actors.messages import AccountBook, Activated, EngineStatus, EpisodeReport
from actors.placement import AUDIT, AUDIT_GROUPS, SUPERVISOR
from actors.ray_runtime import join_or_start, leave
from actors.registry import Registry
from actors.repeating import REPEAT_EVERY_S, is_worth_repeating, loss_of, lost_since_then
from actors.shadowing import refuse_shadowed_packages
from actors.supervisor_process import SupervisorProcess
from audit.certificate import Certificate
from audit.differences import AccountReconciled
from audit.queries import RecordQuery
from audit.records import AuditRecord
from engine.brokers.account_spec import AccountSpec
from engine.config import EngineConfig
from engine.errors import RiskEngineError
from engine.models import BulkCloseResult, CloseResult, GuardTrigger, GuardType
from engine.requests import full_close, partial_close, triggered_close

_T = TypeVar("_T")


class EngineClosed(RiskEngineError):
    """This handle was shut down; start or attach to an engine again."""


class EngineRunsAlready(RiskEngineError):
    """An engine runs in this namespace already; attach to it, or choose another namespace."""


class RiskEngine:
    """A running engine, with blocking calls.

    >>> engine = RiskEngine.start(EngineConfig(data_dir="risk-data"))  # doctest: +SKIP

    A call whose actor is lost in mid-call is made again by itself, by its name or key, until the
    actor is back: nothing is done twice. Only adding and removing accounts is not; such a call,
    and any other after a minute, raises :class:`actors.links.ActorLost`: its outcome is unknown.
    """

    def __init__(self, calls: EngineCalls, *, owns_ray: bool) -> None:
        """Use :meth:`start` or :meth:`attach`."""
        self._calls: EngineCalls | None = calls
        self._owns_ray = owns_ray

    @property
    def calls(self) -> EngineCalls:
        """The engine's remote calls.

        Raises:
            EngineClosed: the handle was shut down.
        """
        if self._calls is None:
            raise EngineClosed("this engine handle was shut down; start() or attach() anew")
        return self._calls

    @classmethod
    def start(
        cls,
        config: EngineConfig | None = None,
        *,
        address: str | None = None,
        namespace: str | None = None,
    ) -> Self:
        """Start an engine: its audit actor and its supervisor.

        Args:
            config: the configuration; from the environment if absent.
            address: Ray's, see :func:`actors.ray_runtime.join_or_start`.
            namespace: overrides the configuration's; one engine each.

        Raises:
            EngineRunsAlready: there is an engine in this namespace.
            AuditError: journal or store cannot be opened; the message says what to do.
            PackageShadowed: another package has the name of one of ours.
        """
        refuse_shadowed_packages()
        chosen = config or EngineConfig()
        if namespace is not None:
            chosen = chosen.model_copy(update={"namespace": namespace})
        owns_ray = join_or_start(address)
        try:
            engine = cls(_start_actors(chosen), owns_ray=owns_ray)
            try:
                engine._get(engine.calls.count_records())
                engine._get(engine.calls.accounts())
            except Exception:
                engine.calls.end_actors()
                raise
        except BaseException:
            if owns_ray:
                leave()
            raise
        return engine

    @classmethod
    def attach(cls, *, namespace: str = "risk-engine", address: str | None = None) -> Self:
        """Get hold of an engine that runs.

        Raises:
            EngineNotFound: there is none in this namespace.
        """
        owns_ray = join_or_start(address)
        try:
            return cls(EngineCalls(namespace), owns_ray=owns_ray)
        except BaseException:
            if owns_ray:
                leave()
            raise

    def share(self, name: str, value: object) -> None:
        """Keep a large object for many accounts; name it in options as ``Shared(name)``."""
        self.calls.share(name, value)

    def add_account(self, spec: AccountSpec) -> Activated:
        """Add an account and start its actor (half a second of CPU).

        Raises:
            ValueError: it exists already, or its specification is wrong.
            BrokerError: its broker cannot be reached, or leads to another account.
        """
        return self._get(self.calls.add_accounts([spec]))[0]

    def add_accounts(self, specs: Sequence[AccountSpec]) -> list[Activated]:
        """Add several accounts, a few side by side; see :meth:`add_account`."""
        return self._get(self.calls.add_accounts(specs))

    def remove_account(self, user_id: str) -> None:
        """Let go of an account; its positions stay as they are.

        Raises:
            UnknownAccount: no such account.
        """
        self._get(self.calls.remove_account(user_id))

    def accounts(self) -> list[str]:
        """Name the accounts."""
        return self._get(self.calls.accounts())

    def submit(self, trigger: GuardTrigger) -> str:
        """Open an episode; returns its trigger_id when the trigger is on disk.

        Raises:
            UnknownAccount: no such account.
            IdempotencyConflict: the trigger_id was used for another account or scope.
            TriggerRefused: it is malformed, stale or from the future; that is on record.
        """
        return self._get(self.calls.submit([trigger]))[0]

    def submit_many(self, triggers: Sequence[GuardTrigger]) -> list[str]:
        """Open several episodes at once; none if one of them is refused. See :meth:`submit`."""
        return self._get(self.calls.submit(triggers))

    def result(self, trigger_id: str, timeout: float | None = None) -> BulkCloseResult:
        """Wait for an episode's end and return its results; their records are on disk.

        Raises:
            KeyError: no such episode.
            TimeoutError: it has not ended within ``timeout`` seconds.
        """
        (report,) = self._get(self.calls.reports([trigger_id]), timeout)
        return durable_bulk(report.results, report.durable)

    def reports(
        self, trigger_ids: Sequence[str], timeout: float | None = None
    ) -> list[EpisodeReport]:
        """Wait for episodes to end and return their reports; see :meth:`result`."""
        return self._get(self.calls.reports(trigger_ids), timeout)

    def close_position(
        self,
        position_id: str,
        ticket: int,
        user_id: str,
        close_reason: str,
        close_price: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close one position; see :meth:`engine.closer.PositionCloser.close_position`."""
        request = full_close(
            position_id, ticket, user_id, close_reason, close_price, idempotency_key
        )
        return self._get(self.calls.close(request))

    def close_partial(
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
        """Close a part; see :meth:`engine.closer.PositionCloser.close_partial`."""
        request = partial_close(
            position_id, ticket, user_id, volume, close_reason, close_price, idempotency_key
        )
        return self._get(self.calls.close(request))

    def close_all_positions(
        self,
        user_id: str,
        close_reason: str,
        positions: Sequence[Mapping[str, Any]] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> BulkCloseResult:
        """Close positions; see :meth:`engine.closer.PositionCloser.close_all_positions`."""
        return self._get(self.calls.close_all(user_id, close_reason, positions, idempotency_key))

    def close_position_if_triggered(
        self,
        position_id: str,
        trigger_reason: str,
        guard_type: str,
        user_id: str,
        position_data: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close for a guard; see ``PositionCloser.close_position_if_triggered``."""
        request = triggered_close(
            position_id, trigger_reason, guard_type, user_id, position_data, idempotency_key
        )
        return self._get(self.calls.close(request))

    def lock(self, user_id: str, reason: str) -> str:
        """Make an account flat and keep it flat until it is released, as a critical trigger does.

        Returns:
            The id of the episode that makes it flat; see :meth:`result`.

        Raises:
            UnknownAccount: no such account.
        """
        return self.submit(GuardTrigger(user_id, GuardType.OPERATOR, reason))

    def release(self, user_id: str, by: str = "operator") -> bool:
        """Unlock an account: from here on, what is opened there stays open.

        Its guards watch again if they did before it was locked.

        Args:
            user_id: the account.
            by: who releases it, for the record.

        Returns:
            Whether it was locked.

        Raises:
            UnknownAccount: no such account.
        """
        return self._get(self.calls.release(user_id, by))

    def watch(self, user_ids: Sequence[str] | None = None) -> None:
        """Let the guards watch these accounts, or all; what trips is liquidated."""
        self._get(self.calls.watch(user_ids))

    def unwatch(self, user_ids: Sequence[str] | None = None) -> None:
        """Stop the guards of these accounts, or of all; liquidations go on to their end."""
        self._get(self.calls.unwatch(user_ids))

    def watched_out(self, timeout: float | None = None) -> list[str]:
        """Wait until no account is watched any more; returns the episodes the guards opened."""
        return self._get(self.calls.watched_out(), timeout)

    def book(self, user_id: str) -> AccountBook:
        """Read an account's positions and deals from its broker."""
        return self._get(self.calls.books([user_id]))[0]

    def records(self, query: RecordQuery | None = None) -> list[AuditRecord]:
        """Read audit records; every acknowledged one is seen."""
        return self._get(self.calls.records(query or RecordQuery()))

    def certificate(self, trigger_id: str) -> Certificate:
        """Make the flat certificate of an episode, open or ended; see :mod:`audit.certificate`.

        Raises:
            UnknownEpisode: no record says that it was accepted; the message says what to do.
        """
        return self._get(self.calls.certificate(trigger_id))

    def reconcile(self, user_id: str | None = None) -> list[AccountReconciled]:
        """Compare the store with the broker's deals of one account, or of all, one by one.

        Differences are put on record, each once. What could not be done is reported as an error.

        Raises:
            UnknownAccount: no such account.
        """
        return self._get(self.calls.reconcile(user_id))

    def trail(self) -> EngineTrail:
        """Read the audit a page at a time, in every way that a stored trail can be read."""
        return EngineTrail(self.calls, self._get)

    def count_records(self) -> int:
        """Count audit records; every acknowledged one is counted."""
        return self._get(self.calls.count_records())

    def verify_records(self) -> str | None:
        """Check every hash chain; returns the first problem in words, if there is one."""
        return self._get(self.calls.verify_records())

    def status(self) -> EngineStatus:
        """Describe the engine at this moment."""
        return self._get(self.calls.status())

    def shutdown(self) -> None:
        """End cleanly: liquidations finish, records are stored; Ray ends if we started it.

        Harmless when done twice.
        """
        if self._calls is None:
            return
        try:
            self._get(self.calls.stop_supervisor())
            self._get(self.calls.close_audit())
        finally:
            self.kill()

    def kill(self) -> None:
        """End at once: nothing is waited for.

        Open episodes stay in the journal, and go on when an engine over the same journal is
        given their accounts.
        """
        if self._calls is None:
            return
        calls, self._calls = self._calls, None
        try:
            calls.end_actors()
        finally:
            if self._owns_ray:
                leave()

    def __enter__(self) -> Self:
        """Use as a context manager: shuts down at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut down."""
        self.shutdown()

    def _get(self, call: Call[_T], timeout: float | None = None) -> _T:
        give_up = None if timeout is None else time.monotonic() + timeout
        lost_since: float | None = None
        while True:
            left = None if give_up is None else max(0.0, give_up - time.monotonic())
            made = time.monotonic()
            try:
                return call.read(ray.get(call.make(), timeout=left))
            except GetTimeoutError:
                raise TimeoutError(f"no answer within {timeout} s; the engine goes on") from None
            except RayError as error:
                lost = loss_of(error)
                now = time.monotonic()
                lost_since = lost_since_then(lost_since, made, now)
                if not is_worth_repeating(call, error, now - lost_since):
                    raise lost from error
            time.sleep(REPEAT_EVERY_S if left is None else min(REPEAT_EVERY_S, left))


def _start_actors(config: EngineConfig) -> EngineCalls:
    namespace = config.namespace
    try:
        placement.find(namespace, SUPERVISOR)
    except ValueError:
        pass
    else:
        raise EngineRunsAlready(
            f"an engine runs in namespace={namespace!r} already; RiskEngine.attach() to it, or "
            "start yours in another namespace"
        )
    registry = Registry(namespace)
    registry.clear()
    registry.put("config", "engine", config)
    placement.start(AuditProcess, namespace, AUDIT, concurrency_groups=AUDIT_GROUPS)
    placement.start(SupervisorProcess, namespace, SUPERVISOR)
    return EngineCalls(namespace)
