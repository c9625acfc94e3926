"""Rows a second from the journal into the store, beside a raw bulk insert of the same rows.

The journal's side is all that the filler does until the rows are in the database for good: read,
check, take apart, insert, commit, checkpoint. That the journal merges SQLite's log before and
forgets the rows afterwards is no part of it. The raw side talks to the database's driver itself;
it is connected, and has the same rows in memory, as tuples, before the clock starts. It has the
same table, transactions and checkpoint.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import duckdb
import psycopg

from audit.backlog import Backlog
from audit.chain import SealedRecord
from audit.duckdb_store import DuckDBStore, plain_type
from audit.fill_batch import prepare_process
from audit.filler import Filler, FillPolicy
from audit.journal import Journal
from audit.postgres_insert import (
    as_parameters,
    copy_new_rows,
    copy_rows,
    insertion,
    prepare_driver,
)
from audit.postgres_store import PostgresStore
from audit.rows import COLUMNS, Row, row_of
from audit.store import AuditStore
from engine.clock import SystemClock
from tests.postgres_server import any_postgres
from tests.unit.audit.samples import a_chain

GOAL = 0.8
SIZES: Mapping[int, int] = {1: 500, 100: 10_000, 1_000: 20_000, 10_000: 100_000}
"""Rows in a batch, and how many of them a round inserts."""
_PER_STREAM = 200
_NEVER = 1e9


class Target(Protocol):
    """A database to insert into, empty and with the schema in place."""

    @property
    def store(self) -> AuditStore:
        """It, open, as the filler uses it."""
        ...

    def raw(self, batches: Sequence[Sequence[Row]]) -> AbstractContextManager[Callable[[], None]]:
        """Prepare the quickest way to insert batches, each in a transaction, and to checkpoint."""
        ...


MakeTarget = Callable[[Path], Target]


@dataclass(frozen=True, slots=True)
class IngestRate:
    """Rates of one database at one size of batches, rows a second, a pair for each round."""

    database: str
    batch: int
    raw: Sequence[float]
    journal: Sequence[float]

    @property
    def ratio(self) -> float:
        """Median over the rounds of the journal's rate over the raw one beside it."""
        return median(ours / raw for ours, raw in zip(self.journal, self.raw, strict=True))

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= GOAL


@dataclass(frozen=True, slots=True)
class IngestTable:
    """What was measured."""

    rates: Sequence[IngestRate]

    def lines(self) -> list[str]:
        """Return the table as text, in Markdown."""
        return [
            f"Ingest from the journal, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores "
            f"({platform.machine()}), medians of {len(self.rates[0].raw)} rounds, "
            f"goal >= {GOAL}",
            "",
            "| database | rows in a batch | raw, rows/s | from the journal, rows/s | ratio | |",
            "|---|---|---|---|---|---|",
            *(
                f"| {one.database} | {one.batch:,} | {median(one.raw):,.0f} "
                f"| {median(one.journal):,.0f} | {one.ratio:.2f} "
                f"| {'met' if one.is_met else 'NOT met'} |"
                for one in self.rates
            ),
        ]


class DuckDBTarget:
    """A DuckDB file; the quickest way into it is an appender."""

    def __init__(self, folder: Path) -> None:
        """Make the file."""
        self._path = folder / "audit.duckdb"
        self.store = DuckDBStore(self._path)
        self.store.open()

    @contextmanager
    def raw(self, batches: Sequence[Sequence[Row]]) -> Iterator[Callable[[], None]]:
        """Prepare to insert batches."""
        self.store.close()
        with closing(duckdb.connect(self._path)) as connection:
            connection.execute("SET checkpoint_threshold = '256MB'").fetchall()

            def insert() -> None:
                for rows in batches:
                    connection.begin()
                    appender = connection.query_appender(_RAW_INSERT, _RAW_TYPES)
                    appender.append_rows(rows)
                    appender.flush()
                    connection.commit()
                connection.execute("CHECKPOINT").fetchall()

            yield insert


class PostgresTarget:
    """A PostgreSQL database; the quickest way in is binary COPY, and INSERT for single rows.

    What was committed is on disk.

    Args:
        url: of an empty database.
    """

    def __init__(self, url: str) -> None:
        """Make the schema."""
        self.store = PostgresStore(url)
        self.store.open()
        self._url = url.replace("+psycopg", "")

    @contextmanager
    def raw(self, batches: Sequence[Sequence[Row]]) -> Iterator[Callable[[], None]]:
        """Prepare to insert batches."""
        single = len(batches[0]) == 1
        with closing(psycopg.connect(self._url, autocommit=True)) as driver:
            prepare_driver(driver)
            cursor = driver.cursor()

            def insert() -> None:
                for rows in batches:
                    if single:
                        cursor.execute(insertion(1), as_parameters(rows[0]))
                    else:
                        copy_rows(driver, rows)

            yield insert


class RepeatablePostgresTarget(PostgresTarget):
    """The same, but raw rows that are there already are passed over, as the store must do.

    The usual ways to that: COPY into a temporary table and insert from there, and ``executemany``
    for single rows.
    """

    @contextmanager
    def raw(self, batches: Sequence[Sequence[Row]]) -> Iterator[Callable[[], None]]:
        """Prepare to insert batches."""
        single = len(batches[0]) == 1
        with closing(psycopg.connect(self._url, autocommit=True)) as driver:
            prepare_driver(driver)
            cursor = driver.cursor()

            def insert() -> None:
                for rows in batches:
                    if single:
                        cursor.executemany(insertion(1), [as_parameters(rows[0])])
                        continue
                    with driver.transaction():
                        copy_new_rows(driver, rows)

            yield insert


def ingest(rounds: int = 7) -> IngestTable:
    """Fill stores from journals and by hand, in turns: 1 to 10,000 rows in a transaction."""
    before = sys.getswitchinterval()
    prepare_process()  # as the audit actor's
    try:
        return _ingest(rounds)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


def _ingest(rounds: int) -> IngestTable:
    records = _records(max(SIZES.values()))
    rows = [row_of(record, 1, False) for record in records]
    prepare_process()  # what neither side has made is no burden to either

    def measured(name: str, make: MakeTarget) -> list[IngestRate]:
        return [
            _measured(name, make, size, records[:count], rows[:count], rounds)
            for size, count in SIZES.items()
        ]

    with tempfile.TemporaryDirectory() as folder, any_postgres(Path(folder)) as server:
        return IngestTable(
            [
                *measured("DuckDB", DuckDBTarget),
                *measured(
                    "PostgreSQL, raw repeatable",
                    lambda _: RepeatablePostgresTarget(server.fresh_database()),
                ),
                *measured(
                    "PostgreSQL, raw COPY", lambda _: PostgresTarget(server.fresh_database())
                ),
            ]
        )


def _measured(
    name: str,
    make: MakeTarget,
    size: int,
    records: Sequence[SealedRecord],
    rows: Sequence[Row],
    rounds: int,
) -> IngestRate:
    rates: dict[str, list[float]] = {"raw": [], "journal": []}
    for number in range(rounds + 1):
        for way in ("raw", "journal") if number % 2 else ("journal", "raw"):
            with tempfile.TemporaryDirectory() as folder:
                target = make(Path(folder))
                seconds = (
                    _raw_seconds(target, size, rows)
                    if way == "raw"
                    else _journal_seconds(target.store, Path(folder), size, records)
                )
            if number > 0:  # the first round warms up
                rates[way].append(len(rows) / seconds)
    return IngestRate(name, size, rates["raw"], rates["journal"])


def _raw_seconds(target: Target, size: int, rows: Sequence[Row]) -> float:
    batches = [rows[first : first + size] for first in range(0, len(rows), size)]
    with target.raw(batches) as insert, _timed() as seconds:
        insert()
    target.store.close()
    return seconds[0]


def _journal_seconds(
    store: AuditStore, folder: Path, size: int, records: Sequence[SealedRecord]
) -> float:
    policy = FillPolicy(batch=size, checkpoint_rows=2 * len(records), checkpoint_s=_NEVER)
    with (
        closing(Journal(folder / "journal.sqlite3")) as journal,
        closing(Backlog(journal)) as backlog,
    ):
        for first in range(0, len(records), 500):
            journal.append(records[first : first + 500])
        filler = Filler(backlog, store, clock=SystemClock(), policy=policy)
        filler.open_store()
        backlog.merge()
        with _timed() as seconds:
            while filler.committed < journal.newest:
                filler.step()
            store.checkpoint()
        if filler.last_error is not None or store.count() != len(records):
            raise RuntimeError(
                f"the store holds {store.count()} rows of {len(records)}: {filler.last_error}"
            )
        filler.stop(0)
        store.close()
    return seconds[0]


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Measure a block; its seconds stand in the list afterwards."""
    gc.collect()
    seconds: list[float] = []
    began = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - began)


def _records(count: int) -> list[SealedRecord]:
    return [
        record
        for first in range(1, count + 1, _PER_STREAM)
        for record in a_chain(min(_PER_STREAM, count + 1 - first), f"account:u{first}:1", first)
    ]


def _raw_value(name: str) -> str:
    return f"make_timestamptz({name})" if name.endswith("_at") else name


_RAW_TYPES: dict[str, Any] = {name: plain_type(name) for name in COLUMNS}
_RAW_INSERT = (
    f"INSERT INTO reconciliation_log ({', '.join(COLUMNS)}) "
    f"SELECT {', '.join(map(_raw_value, COLUMNS))} FROM appender_data"
)
