"""The store: the database that people read, filled from the journal in the background."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from audit.chain import ChainHead
from audit.errors import AuditError
from audit.rows import Row

if TYPE_CHECKING:
    from audit.queries import RecordQuery


@dataclass(frozen=True, slots=True)
class StoreOpened:
    """What had to be done to open a store."""

    set_aside: str | None = None
    """Where a file that could not be read was moved; ``None`` if nothing was wrong."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InsertReport:
    """What became of a batch."""

    inserted: int
    known: int = 0
    """Rows that the store held already, unchanged."""
    contradictions: Mapping[str, str] = field(default_factory=dict)
    """Event ids that were not inserted, each with the reason: the store holds something else in
    their place."""


class RowsRefused(AuditError):
    """The database refuses a row of the batch for its content; nothing was inserted."""


@dataclass(frozen=True, slots=True)
class StreamExtent:
    """How many records of a stream a store holds, and the last of them."""

    head: ChainHead
    count: int


Meanwhile: TypeAlias = Callable[[], bool]
"""Does a bit of other work, at most a millisecond of it, and returns whether there is more; raises
nothing."""


class AuditStore(Protocol):
    """One database with the table ``reconciliation_log``. Safe to use from several threads.

    Every method but ``close`` raises :class:`audit.errors.StoreUnavailable` when the database
    cannot be used; nothing was changed then. A store that failed is closed and opened again.
    """

    @property
    def is_open(self) -> bool:
        """Whether it can be asked something."""
        ...

    def open(self) -> StoreOpened:
        """Open the database and bring its schema up to date; harmless when it is open.

        Raises:
            StoreInUse: another process owns the database.
            NewerSchema: a newer version of this software made it.
        """
        ...

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert rows in one transaction, passing over those that it holds already.

        Args:
            rows: any number, which can be gone through more than once. They may be read from the
                journal only then, so an :class:`audit.errors.JournalUnavailable` may come out.
            meanwhile: to be called while the database is busy. A store need not.

        Raises:
            RowsRefused: the database does not take one of the rows for its content.
        """
        ...

    def count(self) -> int:
        """Count all records."""
        ...

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        ...

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        """Look up the hashes of those of these events that it holds."""
        ...

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        ...

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        ...

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read all rows there are, each once, as fast as may be: in the order in which they lie.

        That is nearly the order of insertion, and nothing relies on it. What is inserted
        meanwhile is left out, or follows with all that was inserted before it.

        Args:
            streams: of these streams; all if ``None``.
            recorded_since: that were recorded at or after this moment, µs UTC.
            page: rows given out at a time, at most.
        """
        ...

    def checkpoint(self) -> None:
        """Make what was inserted safe against the loss of the database's own log."""
        ...

    def close(self) -> None:
        """Let go of the database; harmless when done twice."""
        ...
