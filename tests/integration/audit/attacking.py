"""Someone who may write the database, and goes round the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import duckdb
import psycopg

from audit.canonical import encode
from audit.chain import ChainHead, SealedRecord, chain_hash
from audit.digests import DigestFile
from audit.opening import open_store
from audit.records import body_of_parts, parts_of_body
from audit.rows import row_of, sealed_of
from tests.unit.audit.samples import NOW


class Attacker(Protocol):
    """Runs statements on the database, past its triggers."""

    def __call__(self, *statements: str) -> None:
        """Run statements, each committed by itself."""
        ...


@contextmanager
def attacker(url: str) -> Iterator[Attacker]:
    """Connect straight to a database, and drop what refuses changes."""
    if url.startswith("duckdb:///"):
        native = duckdb.connect(url.removeprefix("duckdb:///"))

        def run(*statements: str) -> None:
            for statement in statements:
                native.execute(statement)

        run(
            "DROP TRIGGER IF EXISTS reconciliation_log_no_update ON reconciliation_log",
            "DROP TRIGGER IF EXISTS reconciliation_log_no_delete ON reconciliation_log",
        )
        yield run
        native.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:

        def run_there(*statements: str) -> None:
            for statement in statements:
                connection.execute(cast("Any", statement))

        run_there("DROP TRIGGER IF EXISTS reconciliation_log_no_change ON reconciliation_log")
        yield run_there


def records_of(url: str) -> dict[tuple[str, int], SealedRecord]:
    """Read the whole trail, by place."""
    store = open_store(url)
    try:
        sealed = [sealed_of(row) for page in store.scan() for row in page]
    finally:
        store.close()
    return {(record.stream, record.seq): record for record in sealed}


def put(url: str, records: list[SealedRecord]) -> None:
    """Insert records as the engine would."""
    store = open_store(url)
    try:
        assert store.insert_batch([row_of(one, NOW, False) for one in records]).inserted == len(
            records
        )
        store.checkpoint()
    finally:
        store.close()


def altered(record: SealedRecord, prev_hash: bytes, **members: object) -> SealedRecord:
    """Seal a record anew with other members, as if they had always been so."""
    before, meta, after = parts_of_body(record.body)
    for name, value in members.items():
        if name == "meta_data":
            meta = encode(value)
        else:
            (before if name in before else after)[name] = value
    body = body_of_parts(before, meta, after)
    return record._replace(
        event_id=before["event_id"],
        stream=after["stream"],
        seq=after["seq"],
        prev_hash=prev_hash,
        hash=chain_hash(prev_hash, body),
        body=body,
    )


def made_anew(url: str, place: tuple[str, int], **members: object) -> None:
    """Alter a record, and make every hash anew that shows it: in its stream, and in those after."""
    trail = records_of(url)
    new: dict[tuple[str, int], SealedRecord] = {}
    for at in sorted(trail):
        stream, seq = at
        old = trail[at]
        predecessor = parts_of_body(old.body)[2]["predecessor"]
        link = old.prev_hash
        if seq > 1:
            link = new[stream, seq - 1].hash
        elif predecessor is not None:
            name, _, number = predecessor.rpartition("@")
            link = new[name, int(number)].hash
        new[at] = altered(old, link, **(members if at == place else {}))
    assert sum(new[at] != trail[at] for at in trail) > 1
    with attacker(url) as run:
        run("DELETE FROM reconciliation_log")
    put(url, list(new.values()))


def digests_made_anew(path: Path, url: str) -> None:
    """Write a digest file that fits whatever the database holds."""
    heads: dict[str, ChainHead] = {}
    for (stream, seq), record in sorted(records_of(url).items()):
        heads[stream] = ChainHead(stream, seq, record.hash)
    path.unlink()
    file = DigestFile(path)
    file.load()
    file.append(NOW, heads.values())
