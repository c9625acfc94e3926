"""Trading sessions: when in the broker's week a symbol can be traded."""

from __future__ import annotations

from dataclasses import dataclass

_DAY_MINUTES = 24 * 60
_MINUTE_MS = 60_000
_DAY_MS = _DAY_MINUTES * _MINUTE_MS


@dataclass(frozen=True, slots=True)
class Session:
    """One span of trading on one day of the week, in the broker's time.

    Attributes:
        day: Day of the week, Sunday 0 to Saturday 6 (as ``DAY_OF_WEEK_*``).
        opens: First minute of the day at which trading is possible, 0 to 1439.
        closes: First minute at which it no longer is, 1 to 1440.
    """

    day: int
    opens: int = 0
    closes: int = _DAY_MINUTES

    def __post_init__(self) -> None:
        """Refuse a session that is no part of a day."""
        if not 0 <= self.day <= 6:
            raise ValueError(f"day={self.day!r} of a session must be 0 (Sunday) to 6 (Saturday)")
        if not 0 <= self.opens < self.closes <= _DAY_MINUTES:
            raise ValueError(
                f"opens={self.opens!r}, closes={self.closes!r}: a session's minutes must satisfy "
                f"0 <= opens < closes <= {_DAY_MINUTES}; split a session that passes midnight"
            )


FOREX_SESSIONS: tuple[Session, ...] = tuple(Session(day) for day in range(1, 6))
"""Monday to Friday, around the clock: the week of a broker whose day ends in New York."""


def day_of_week(time_ms: int) -> int:
    """Return the day of the week of a broker's time, Sunday 0; 1970-01-01 was a Thursday."""
    return (time_ms // _DAY_MS + 4) % 7


def is_open(sessions: tuple[Session, ...] | None, time_ms: int) -> bool:
    """Tell whether trading is possible at ``time_ms``; ``None`` means that it always is."""
    if sessions is None:
        return True
    day = day_of_week(time_ms)
    minute = time_ms % _DAY_MS // _MINUTE_MS
    return any(
        session.day == day and session.opens <= minute < session.closes for session in sessions
    )


def opens_in_ms(sessions: tuple[Session, ...] | None, time_ms: int) -> int | None:
    """Return how long after ``time_ms`` trading is possible: 0 for now, ``None`` for never."""
    if is_open(sessions, time_ms):
        return 0
    day, into_day = day_of_week(time_ms), time_ms % _DAY_MS
    week = 7 * _DAY_MS
    return min(
        (
            ((session.day - day) * _DAY_MS + session.opens * _MINUTE_MS - into_day) % week
            for session in sessions or ()
        ),
        default=None,
    )
