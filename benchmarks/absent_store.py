"""The audit's store goes away in mid-liquidation: what the liquidation notices, what is lost."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray

from actors import placement
from actors.audit_process import AuditProcess
from actors.handle import RiskEngine
from actors.placement import AUDIT, AUDIT_GROUPS, SUPERVISOR
from actors.registry import Registry
from actors.supervisor_process import SupervisorProcess
from audit.errors import StoreUnavailable
from audit.opening import make_store
from audit.queries import RecordQuery
from audit.records import EventType
from audit.rows import Row
from audit.store import AuditStore, InsertReport, Meanwhile, StoreOpened, StreamExtent
from benchmarks.figures import Figure
from benchmarks.rounds import (
    Round,
    dealt,
    flat_reports,
    let_close,
    pairs_of,
    simulated_accounts,
    triggers_for,
)
from engine.config import EngineConfig

AWAY_AFTER_S = 1.0
"""From the triggers to the store's absence."""
AWAY_S = 10.0


class AbsentableStore:
    """A store that can go away, as a database behind a network does.

    Args:
        store: the one that does the work.
    """

    def __init__(self, store: AuditStore) -> None:
        """Begin present."""
        self._inner = store
        self.is_away = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether it can be asked something."""
        return self._inner.is_open and not self.is_away.is_set()

    def open(self) -> StoreOpened:
        """Open it."""
        return self._reached().open()

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert rows."""
        return self._reached().insert_batch(rows, meanwhile)

    def count(self) -> int:
        """Count all records."""
        return self._reached().count()

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes."""
        return self._reached().extents()

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        """Look up hashes."""
        return self._reached().hashes_of(event_ids)

    def query(self, query: RecordQuery) -> list[Row]:
        """Read rows."""
        return self._reached().query(query)

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of streams."""
        return self._reached().read_streams(streams, after, up_to)

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read rows as they lie."""
        return self._reached().scan(streams=streams, recorded_since=recorded_since, page=page)

    def checkpoint(self) -> None:
        """Make safe what was inserted."""
        self._reached().checkpoint()

    def close(self) -> None:
        """Let go of it, which works from afar, too."""
        self._inner.close()

    def _reached(self) -> AuditStore:
        if self.is_away.is_set():
            raise StoreUnavailable("the store is away, as the benchmark wants it")
        return self._inner


class AbsentableAudit(AuditProcess):
    """The audit actor over a store that goes away and comes back at a word."""

    def __init__(self, namespace: str) -> None:
        """Begin with the store there."""
        super().__init__(namespace)
        self._absentable = AbsentableStore(make_store(self._store_url))

    def _store(self) -> AuditStore:
        return self._absentable

    def send_store_away(self) -> None:
        """Let every use of the store fail from now on."""
        self._absentable.is_away.set()

    def bring_store_back(self) -> None:
        """Let the store work again."""
        self._absentable.is_away.clear()


def makespan(
    accounts: int = 10, positions: int = 50, pairs: int = 5, latency_ms: float = 260.0
) -> Figure:
    """Liquidate while the store is away for ten seconds, against the same with the store there.

    After every round, whatever the liquidation has closed must be in the store.
    """
    there: list[float] = []
    away: list[float] = []
    with _engine() as engine:
        specs = simulated_accounts(engine, accounts, positions * 2 * pairs, latency_ms)
        engine.add_accounts(specs)
        for pair in pairs_of(dealt(engine, positions)):
            for is_away, closed in pair:
                (away if is_away else there).append(_liquidate(engine, closed, is_away=is_away))
        records = engine.count_records()
    return Figure(
        name=f"makespan while the store is away for {AWAY_S:g} s, {accounts} accounts x "
        f"{positions}, {latency_ms:g} ms an order, durable",
        unit="ms",
        values=away,
        reference_name="the same with the store there, interleaved",
        reference=there,
        goal="<= 1.1 or within 100 ms",
        is_met_by=1.1,
        or_within=100.0,
        is_paired=True,
        note=f"after each round every close was in the store, once, and every chain was whole; "
        f"{records:,} records in all",
    )


@contextmanager
def _engine() -> Iterator[RiskEngine]:
    """Start an engine with the other audit actor, as :meth:`RiskEngine.start` does with its own."""
    namespace = f"bench-{time.time_ns():x}"
    with tempfile.TemporaryDirectory() as folder:
        config = EngineConfig(namespace=namespace, data_dir=Path(folder))
        Registry(namespace).put("config", "engine", config)
        placement.start(AbsentableAudit, namespace, AUDIT, concurrency_groups=AUDIT_GROUPS)
        placement.start(SupervisorProcess, namespace, SUPERVISOR)
        with RiskEngine.attach(namespace=namespace) as engine:
            yield engine


def _liquidate(engine: RiskEngine, closed: Round, *, is_away: bool) -> float:
    """Return the milliseconds from handing in the triggers to holding results that are on disk."""
    audit, triggers = engine.calls.audit, triggers_for(closed)
    began = time.perf_counter()
    ids = engine.submit_many(triggers)
    let_close(engine, ids, AWAY_AFTER_S)
    if is_away:
        ray.get(audit.send_store_away.remote())
    let_close(engine, ids, AWAY_S)
    status = engine.status().audit
    if is_away:
        ray.get(audit.bring_store_back.remote())
    flat_reports(engine, ids)
    elapsed = time.perf_counter() - began
    if (status["last_error"] is not None) is not is_away:
        raise RuntimeError(f"the store was not {'away' if is_away else 'there'}: {status}")
    _check_records(engine, dict(zip(ids, closed.values(), strict=True)))
    return elapsed * 1_000


def _check_records(engine: RiskEngine, closed: Round) -> None:
    """See to it that the store has each episode of a round whole, and whole chains.

    Args:
        engine: whose records they are.
        closed: what each episode closed, by its trigger's id.

    Raises:
        RuntimeError: something was lost, or is there twice.
    """
    for trigger_id, scope in closed.items():
        records = engine.records(RecordQuery(trigger_id=trigger_id))
        kinds = [record.event_type for record in records]
        tickets = sorted(
            record.ticket or 0
            for record in records
            if record.event_type is EventType.POSITION_CLOSED
        )
        if tickets != sorted(ref.ticket for ref in scope):
            raise RuntimeError(f"trigger_id={trigger_id!r}: {len(tickets)} closes are on record")
        for kind in (EventType.TRIGGER_ACCEPTED, EventType.EPISODE_FINISHED):
            if kinds.count(kind) != 1:
                raise RuntimeError(f"trigger_id={trigger_id!r}: {kinds.count(kind)} x {kind}")
    problem = engine.verify_records()
    if problem is not None:
        raise RuntimeError(f"a chain is not whole: {problem}")
