"""Seconds to verify a stored trail, beside a bare loop over the same rows."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import duckdb
import psycopg

from audit import canonical
from audit.chain import ChainHead, ChainWriter
from audit.digests import DigestFile, read_digests
from audit.opening import open_store
from audit.rows import COLUMNS, Row, row_of
from audit.store import AuditStore
from audit.verify import verify_store
from benchmarks.figures import Figure
from tests.postgres_server import PostgresUnavailable, any_postgres
from tests.unit.audit.samples import NOW, a_close

ROWS = 1_000_000
_STREAMS = 1_000
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class VerifyFigures:
    """One figure for each database that is here."""

    figures: Sequence[Figure]
    missing: str = ""

    def lines(self) -> list[str]:
        """Return the figures as text."""
        return [
            *(line for figure in self.figures for line in figure.lines()),
            *([self.missing] if self.missing else []),
        ]


def verify(rows: int = ROWS, rounds: int = 3) -> VerifyFigures:
    """Verify rows in DuckDB and, where a server is to be had, in PostgreSQL.

    The bare loop fetches every column with the database's own driver, writes it as canonical JSON
    and hashes that: it knows nothing of chains, streams or digests.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        duck = f"duckdb:///{folder}/audit.duckdb"
        figures = [_figure("DuckDB", duck, folder, rows, rounds)]
        with ExitStack() as stack:
            try:
                server = stack.enter_context(any_postgres(folder))
            except PostgresUnavailable as reason:
                return VerifyFigures(figures, f"no PostgreSQL: {reason}")
            url = server.fresh_database()
            figures.append(_figure("PostgreSQL", url, folder, rows, rounds))
    return VerifyFigures(figures)


def _figure(name: str, url: str, folder: Path, rows: int, rounds: int) -> Figure:
    store = open_store(url)
    try:
        digests = folder / f"{name}.jsonl"
        _fill(store, rows, digests)
        known = read_digests(digests)
        bare: list[float] = []
        measured: list[float] = []
        for _ in range(rounds):  # in turn: a machine that slows down shifts neither
            store.close()  # DuckDB opens a file twice only if by the same settings
            bare.append(_bare(url, rows))
            store.open()
            began = time.perf_counter()
            report = verify_store(store, digests=known)
            measured.append(time.perf_counter() - began)
            if not report.ok or report.records != rows:
                raise RuntimeError(f"the trail is not whole: {report}")
    finally:
        store.close()
    return Figure(
        name=f"verifying {rows:,} rows in {_STREAMS:,} streams, {name}",
        unit="s",
        values=measured,
        reference_name="fetch, canonical JSON and SHA-256, row by row",
        reference=bare,
        goal="<= 2",
        is_met_by=2.0,
        is_paired=True,
    )


def _bare(url: str, rows: int) -> float:
    count = 0
    began = time.perf_counter()
    for page in _fetched(url):
        for row in page:
            content = dict(zip(COLUMNS, row, strict=True))
            content["prev_hash"] = content["prev_hash"].hex()
            content["hash"] = content["hash"].hex()
            sha256(canonical.encode(content).encode()).digest()
            count += 1
    taken = time.perf_counter() - began
    if count != rows:
        raise RuntimeError(f"the bare loop read {count:,} rows of {rows:,}")
    return taken


def _fill(store: AuditStore, rows: int, digests: Path) -> None:
    """Store closes of many streams, mixed, and write one digest of them."""
    sample = a_close()
    writers = [ChainWriter(f"account:user-{number}:1") for number in range(_STREAMS)]
    turns = itertools.cycle(writers)
    for first in range(0, rows, _BATCH):
        batch = [
            next(turns).seal(replace(sample, event_id=str(UUID(int=number, version=5))))
            for number in range(first, min(first + _BATCH, rows))
        ]
        store.insert_batch([row_of(record, NOW, False) for record in batch])
    store.checkpoint()
    file = DigestFile(digests)
    file.load()
    file.append(NOW, [ChainHead(*writer.head) for writer in writers if writer.head.seq])


def _fetched(url: str) -> Iterator[list[Row]]:
    """Fetch everything with the driver alone."""
    if url.startswith("duckdb:///"):
        columns = _columns("epoch_us({})", "{}::VARCHAR")
        with closing(duckdb.connect(url.removeprefix("duckdb:///"))) as native:
            native.execute(f"SELECT {columns} FROM reconciliation_log")
            while page := native.fetchmany(_BATCH):
                yield page
        return
    columns = _columns("(extract(epoch FROM {}) * 1000000)::bigint", "{}::text")
    with (
        psycopg.connect(url.replace("+psycopg", "")) as connection,
        connection.cursor("bare") as cursor,
    ):
        cursor.execute(cast("Any", f"SELECT {columns} FROM reconciliation_log"))
        while rows := cursor.fetchmany(_BATCH):
            yield rows


def _columns(moment: str, text: str) -> str:
    forms = {"recorded_at": moment, "occurred_at": moment, "sent_at": moment, "filled_at": moment}
    forms |= {"event_id": text, "meta_data": text}
    return ", ".join(forms.get(name, "{}").format(name) for name in COLUMNS)
