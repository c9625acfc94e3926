"""What a reading call asks for: name masks and spans of time, as the binding takes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from engine.simulated.requests import InvalidArgument


@lru_cache(maxsize=256)
def group_filter(group: str) -> Callable[[str], bool]:
    """Turn a ``group`` argument into a test of symbol names.

    Args:
        group: Masks separated by commas; ``*`` stands for any characters, a leading ``!``
            excludes. ``"*,!*JPY*"`` is everything but the yen.

    Returns:
        Whether a name meets some mask and no excluding one; masks are taken in order.
    """
    masks: list[tuple[bool, re.Pattern[str]]] = []
    for part in group.split(","):
        mask = part.strip()
        excludes = mask.startswith("!")
        body = mask[1:] if excludes else mask
        pattern = ".*".join(re.escape(piece) for piece in body.split("*"))
        masks.append((not excludes, re.compile(pattern, re.DOTALL)))

    def selects(name: str) -> bool:
        selected = False
        for includes, pattern in masks:
            if pattern.fullmatch(name):
                selected = includes
        return selected

    return selects


def to_seconds(value: object, argument: str) -> int:
    """Read a moment: a datetime (a naive one is this machine's local time) or whole seconds.

    Raises:
        InvalidArgument: It is neither, or outside the calendar.
    """
    if isinstance(value, datetime):
        try:
            return int(value.timestamp())
        except (OverflowError, OSError, ValueError):
            raise InvalidArgument(argument) from None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidArgument(argument)


def to_span(dates: tuple[object, ...]) -> tuple[int, int]:
    """Read the two positional dates of a history call, in seconds, both ends included.

    Raises:
        InvalidArgument: One is missing or no moment.
    """
    if len(dates) != 2:
        raise InvalidArgument("date_to" if len(dates) == 1 else "date_from")
    return to_seconds(dates[0], "date_from"), to_seconds(dates[1], "date_to")


def to_ticket(value: object, argument: str = "ticket") -> int:
    """Read a ticket.

    Raises:
        InvalidArgument: It is no integer.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidArgument(argument)


def to_name(value: object, argument: str) -> str:
    """Read a symbol's name or a group of masks.

    Raises:
        InvalidArgument: It is no string.
    """
    if isinstance(value, str):
        return value
    raise InvalidArgument(argument)
