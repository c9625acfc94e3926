"""A process that may write no file beyond a size, as on a full disk, and later may again.

Arguments: the journal's path. Prints what came of it as JSON.
"""

from __future__ import annotations

import json
import resource
import sys

from audit.backlog import Backlog
from audit.errors import JournalUnavailable
from audit.journal import Journal
from tests.unit.audit.samples import a_chain


def main(path: str) -> None:
    journal = Journal(path)
    small = a_chain(3, journal.open_stream("account:u1").stream)
    journal.append(small)
    large = a_chain(2_000, journal.open_stream("account:u2").stream, 100)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    refusals = []
    for _ in range(2):
        try:
            journal.append(large)
        except JournalUnavailable as error:
            refusals.append(str(error))
    kept_meanwhile = _count(journal)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    receipt = journal.append(large)
    again = journal.append(large)
    report = {
        "refusals": refusals,
        "kept_meanwhile": kept_meanwhile,
        "acknowledged": len(receipt.acknowledged),
        "set_aside": len(receipt.set_aside) + len(again.set_aside),
        "expected": dict(receipt.expected),
        "kept": _count(journal),
        "heads": [[head.stream, head.seq] for head in journal.heads()],
    }
    journal.close()
    sys.stdout.write(json.dumps(report))


def _count(journal: Journal) -> int:
    backlog = Backlog(journal)
    count = len(backlog.after(0, 10_000))
    backlog.close()
    return count


if __name__ == "__main__":
    main(sys.argv[1])
