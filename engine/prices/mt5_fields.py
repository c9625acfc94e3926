"""The fields of a line in a terminal's price export: dates, times, prices and whole numbers.

Stricter than ``float`` and ``int``, which also take ``1_000``, ``1e5``, ``nan`` or blanks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

_DATE = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?")
_PRICE = re.compile(r"[0-9]{1,12}(?:\.([0-9]+))?")
_WHOLE = re.compile(r"[0-9]{1,18}")
_FIRST_DAY = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000


class LineError(ValueError):
    """Why a line is malformed; the reader adds file and line number."""


@dataclass(slots=True)
class MostDecimals:
    """The most decimals that any price had so far."""

    allowed: int
    """More than this are an error."""
    most: int = 0


@lru_cache(maxsize=64)
def parse_date(text: str) -> int:
    """Return the midnight of ``YYYY.MM.DD`` in ms since 1970.

    Raises:
        LineError: The text is no such date, or it is before 1970.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise LineError(f"DATE={text!r} is not written YYYY.MM.DD")
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _FIRST_DAY
    except ValueError:
        raise LineError(f"DATE={text!r} is not in the calendar") from None
    if day < 0:
        raise LineError(f"DATE={text!r} is before 1970")
    return day * _DAY_MS


def parse_time(text: str) -> int:
    """Return ``HH:MM``, ``HH:MM:SS`` or ``HH:MM:SS.mmm`` in ms since midnight.

    Raises:
        LineError: The text is no such time of day.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise LineError(f"TIME={text!r} is not written HH:MM, HH:MM:SS or HH:MM:SS.mmm")
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise LineError(f"TIME={text!r} is no time of day (00:00:00 to 23:59:59)")
    milliseconds = int((match[4] or "0").ljust(3, "0"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def parse_price(name: str, text: str, decimals: MostDecimals) -> float:
    """Return a price above zero and keep count of its decimals.

    Raises:
        LineError: The text is no plain decimal number above zero, has more decimals than
            allowed, or more than twelve digits before the point.
    """
    match = _PRICE.fullmatch(text)
    if match is None:
        raise LineError(_why_no_price(name, text))
    count = len(match[1] or "")
    if count > decimals.most:
        if count > decimals.allowed:
            raise LineError(
                f"{name}={text!r} has {count} decimals, {decimals.allowed} are allowed; "
                "give the symbol's own number of digits, or none"
            )
        decimals.most = count
    price = float(text)
    if price <= 0:
        raise LineError(f"{name}={text!r} must be above zero")
    return price


def parse_whole(name: str, text: str) -> int:
    """Return a whole number, zero or more, of at most 18 digits.

    Raises:
        LineError: The text is no such number.
    """
    if _WHOLE.fullmatch(text) is None:
        raise LineError(f"{name}={text!r} is not a whole number, zero or more")
    return int(text)


def _why_no_price(name: str, text: str) -> str:
    if not text:
        return f"{name} is empty"
    if text.count(",") == 1 and "." not in text:
        return f"{name}={text!r} has a decimal comma; write a point"
    try:
        value = float(text)
    except ValueError:
        return f"{name}={text!r} is not a number"
    if not math.isfinite(value):
        return f"{name}={text!r} is not finite"
    if value < 0:
        return f"{name}={text!r} must be above zero"
    return f"{name}={text!r} is not a plain decimal number such as 1.09512"
