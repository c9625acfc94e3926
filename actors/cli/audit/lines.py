"""Records as JSON lines, for machines."""

from __future__ import annotations

import json
from typing import Any

from actors.cli.audit.moments import iso
from audit import canonical
from audit.rows import COLUMNS, Row

_TIMES = frozenset({"occurred_at", "sent_at", "filled_at", "recorded_at"})
_HASHES = frozenset({"prev_hash", "hash"})


def data_of(row: Row) -> dict[str, Any]:
    """Return a row as plain JSON values: times as ISO 8601 in UTC, hashes in hexadecimal.

    Times inside ``meta_data`` stay what was hashed: µs since 1970 UTC.
    """
    found = dict(zip(COLUMNS, row, strict=True))
    for name in _TIMES:
        if found[name] is not None:
            found[name] = iso(found[name])
    for name in _HASHES:
        found[name] = bytes(found[name]).hex()
    found["meta_data"] = canonical.decode(found["meta_data"])
    return dict(sorted(found.items()))


def line_of(row: Row) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(data_of(row))
