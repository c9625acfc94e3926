"""Moments on the command line: ISO 8601 in UTC, or so long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from engine.clock import to_datetime, to_wall_us

_AGO = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_moment(option: str, text: str, now_us: int) -> int:
    """Return the moment that ``text`` names, µs UTC.

    Args:
        option: names it in the error.
        text: ``2026-11-22``, ``2026-11-22T10:30``, with seconds and zone if wanted (UTC without
            one), or ``30s``, ``15m``, ``2h``, ``3d``, ``1w`` ago.
        now_us: from when to count back, µs UTC.

    Raises:
        ValueError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            moment = now_us - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
            to_datetime(moment)
            return moment
        read = datetime.fromisoformat(text.strip())
        return to_wall_us(read if read.tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{option}={text!r} is not allowed: it must be a time such as 2026-11-22, "
            "2026-11-22T10:30 or 2026-11-22T10:30:05.25+01:00 (UTC if no zone is given), or how "
            "long ago: 30s, 15m, 2h, 3d, 1w"
        ) from None


def iso(moment_us: int) -> str:
    """Write a moment as ISO 8601 in UTC, to the microsecond: always as long."""
    return to_datetime(moment_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
