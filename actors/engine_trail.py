"""The trail of an engine that runs: read through its audit actor, wherever that lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actors.calls import Call, EngineCalls
from audit.chain import ChainHead
from audit.digests import Digests
from audit.queries import RecordQuery
from audit.receipts import SetAside
from audit.rows import Row
from audit.store import StreamExtent
from audit.totals import Group
from audit.verify import VerifyReport


class EngineTrail:
    """A :class:`audit.trail.Trail` behind an audit actor; every acknowledged record is seen.

    Rows travel to the reader a page at a time, so a long answer holds up neither the engine's
    records nor other readers for longer than a page takes.

    Args:
        calls: to the engine.
        wait: makes a call and waits for its answer; see :class:`actors.handle.RiskEngine`.
    """

    def __init__(self, calls: EngineCalls, wait: Callable[[Call[Any]], Any]) -> None:
        """Nothing is read yet."""
        self._calls = calls
        self._wait = wait

    @property
    def source(self) -> str:
        """Where the records come from, in words."""
        return f"the engine in namespace {self._calls.namespace!r}"

    @property
    def is_live(self) -> bool:
        """Records go on arriving."""
        return True

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        return list(self._ask("query", query))

    def groups(self, query: RecordQuery) -> list[Group]:
        """Add up the records that a query chooses, its limit apart."""
        return list(self._ask("groups", query))

    def heads(self) -> Sequence[ChainHead]:
        """Last record of each stream that the journal knows."""
        return list(self._ask("heads"))

    def set_aside(self) -> Sequence[SetAside]:
        """Every record that was kept apart, with the reason."""
        return list(self._ask("set_aside"))

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        return list(self._ask("extents"))

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        return list(self._ask("read_streams", list(streams), after, up_to))

    def verification(
        self,
        *,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
    ) -> VerifyReport:
        """Check the chains where the records are: none travels."""
        report: VerifyReport = self._ask("verification", since, user_id, digests)
        return report

    def close(self) -> None:
        """Leave the engine as it is."""

    def _ask(self, what: str, *arguments: object) -> Any:
        return self._wait(self._calls.reading(what, *arguments))
