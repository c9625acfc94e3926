"""The journal's note of the digest file's end: who empties that file is found out by it.

The lines of a digest file chain to each other, but nothing in the file says that its last lines,
or all of them, are gone. So the journal notes the last line that was written.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.clock import to_datetime


@dataclass(frozen=True, slots=True)
class DigestEnd:
    """The last line that was written to a digest file."""

    file: str
    """The file's absolute path, as it was then."""
    number: int
    """The line's own number."""
    hash: str
    """The line's own hash, in hexadecimal."""
    at: int
    """When it was noted, µs UTC."""

    def __str__(self) -> str:
        """Name the line."""
        return f"number {self.number} of {to_datetime(self.at):%Y-%m-%dT%H:%M:%SZ} in {self.file}"


class DigestRegistry:
    """The table ``digest_end``. Every method is part of the caller's transaction.

    Args:
        connection: the journal's; whoever uses it holds the journal's lock.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing is read yet."""
        self._connection = connection

    def end(self) -> DigestEnd | None:
        """Return the last line that was written; ``None`` if none ever was, as far as known."""
        row = self._connection.execute("SELECT file, number, hash, at FROM digest_end").fetchone()
        return None if row is None else DigestEnd(*row)

    def note(self, end: DigestEnd) -> None:
        """Note which line was written last."""
        self._connection.execute(
            "INSERT OR REPLACE INTO digest_end VALUES (1, ?, ?, ?, ?)",
            (end.file, end.number, end.hash, end.at),
        )
