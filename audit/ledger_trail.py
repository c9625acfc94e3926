"""The trail as its owner reads it, while records go on arriving."""

from __future__ import annotations

from collections.abc import Sequence

from audit.chain import ChainHead
from audit.digests import Digests
from audit.ledger import AuditLedger
from audit.queries import RecordQuery
from audit.receipts import SetAside
from audit.rows import Row
from audit.store import StreamExtent
from audit.totals import Group
from audit.trail import StoreTrail
from audit.verify import VerifyReport


class LedgerTrail:
    """A :class:`audit.trail.Trail` over an open ledger; every acknowledged record is seen.

    Args:
        ledger: open; it stays open when the trail is closed.
    """

    def __init__(self, ledger: AuditLedger) -> None:
        """Nothing is read yet."""
        self._ledger = ledger

    @property
    def source(self) -> str:
        """Where the records come from, in words."""
        return "the ledger that this process has open"

    @property
    def is_live(self) -> bool:
        """Records go on arriving."""
        return True

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        with self._ledger.reading() as store:
            return store.query(query)

    def groups(self, query: RecordQuery) -> list[Group]:
        """Add up the records that a query chooses, its limit apart."""
        with self._ledger.reading() as store:
            return StoreTrail("", store).groups(query)

    def heads(self) -> Sequence[ChainHead]:
        """Last record of each stream that the journal knows."""
        return self._ledger.heads()

    def set_aside(self) -> Sequence[SetAside]:
        """Every record that was kept apart, with the reason."""
        return self._ledger.set_aside()

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        with self._ledger.reading() as store:
            return store.extents()

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        with self._ledger.reading() as store:
            return store.read_streams(streams, after, up_to)

    def verification(
        self,
        *,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
    ) -> VerifyReport:
        """Check the chains and the ledger's own digests, unless others are given."""
        return self._ledger.verify(since=since, user_id=user_id, digests=digests)

    def close(self) -> None:
        """Leave the ledger to its owner."""
