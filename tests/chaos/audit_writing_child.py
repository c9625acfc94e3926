"""A process to be killed: appends batches for ever, and prints what was acknowledged.

Arguments: the store's URL, the journal's path, records in a batch.
"""

from __future__ import annotations

import sys
from itertools import count

from audit.chain import ChainWriter
from audit.filler import FillPolicy
from audit.ledger import AuditLedger
from tests.unit.audit.samples import a_close


def main(url: str, journal: str, size: int) -> None:
    policy = FillPolicy(batch=100, linger_s=0.0, checkpoint_rows=300)
    ledger = AuditLedger(url, journal, policy=policy)
    opened = ledger.open_stream("account:u1")
    writer = ChainWriter(opened.stream, opened.predecessor)
    for start in count(opened.incarnation * 1_000_000, size):
        batch = [writer.seal(a_close(number)) for number in range(start, start + size)]
        receipt = ledger.append(batch)
        assert len(receipt.acknowledged) == size
        sys.stdout.write(f"{opened.stream} {writer.head.seq}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
