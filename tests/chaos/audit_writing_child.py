"""A process to be killed: appends batches for ever, and says what it is doing just now.

Arguments: the store's file, the journal's path, records in a batch. Lines on standard output:
``ack <stream> <seq>`` when a batch was acknowledged, ``journal <moment>`` for the thread that
appends, and ``store <moment>`` for the thread that fills the store.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import count
from typing import Any

from audit.chain import ChainWriter
from audit.duckdb_store import DuckDBStore
from audit.filler import FillPolicy
from audit.ledger import AuditLedger
from audit.rows import Row
from audit.store import InsertReport, Meanwhile
from tests.unit.audit.samples import a_close


def say(text: str) -> None:
    """Write a line at once, and whole, whichever thread does."""
    os.write(1, f"{text}\n".encode())


class TellingStore(DuckDBStore):
    """Says where in a batch it is."""

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert, and say when it is done."""
        report = super().insert_batch(rows, meanwhile)
        say("store idle")
        return report

    def checkpoint(self) -> None:
        """Checkpoint, and say so before and after."""
        say("store checkpointing")
        super().checkpoint()
        say("store idle")

    def _append(self, *arguments: Any) -> int:
        say("store inserting")
        count = super()._append(*arguments)
        say("store committing")
        return count


def main(path: str, journal: str, size: int) -> None:
    policy = FillPolicy(batch=300, linger_s=0.0, checkpoint_rows=900)
    ledger = AuditLedger(TellingStore(path), journal, policy=policy)
    opened = ledger.open_stream("account:u1")
    writer = ChainWriter(opened.stream, opened.predecessor)
    for start in count(opened.incarnation * 1_000_000, size):
        batch = [writer.seal(a_close(number)) for number in range(start, start + size)]
        say("journal committing")
        receipt = ledger.append(batch)
        assert len(receipt.acknowledged) == size
        say(f"ack {opened.stream} {writer.head.seq}")
        say("journal idle")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
