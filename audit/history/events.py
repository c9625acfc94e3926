"""What clients did and were told: calls, their results, and the final records of them.

Every class here and in :mod:`audit.history.book` is one kind of line of a history file; its
fields are the line's fields, by the same names. All ``*_us`` times are microseconds of *one*
clock, whose origin does not matter; only a deal's ``time_us`` is the venue's own. Volumes are
lots, prices the symbol's, money the account's currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

FORMAT = 1
"""Version of the format that this package reads and writes."""

EXACT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""A line has its fields and no others, of the right type, and numbers are finite."""

Outcome = Literal[
    "done", "partial", "already_closed", "not_found", "rejected", "not_sent", "unknown"
]


@dataclass(frozen=True, slots=True)
class Header:
    """``history``: the first line."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    format: int = FORMAT
    settle_window_us: int | None = None
    """How long a request that has left may still act. ``None``: not known, so it is not judged
    whether a request was sent while an inconclusive one could still act."""
    requests: bool = True
    """Whether the file lists every request that reached the venue. Without them the requests
    that are listed are judged, but a deal needs none."""
    records: bool = False
    """Whether the file lists every final record, so that a durable result needs one."""
    clock_tolerance_us: int = 0
    """How far the clocks of clients and venue may have been apart."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """``invoked``: a client makes a call."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    call: str
    """Names the call, once in a history. A repeated call is a call of its own, with its key."""
    client: str
    user_id: str
    kind: Literal["close", "liquidate"]
    """``close`` one position, or ``liquidate`` several with one trigger."""
    key: str
    """Idempotency key: the same position and key are the same close, executed at most once.
    Empty: each position's own name is its key."""
    invoked_us: int
    positions: tuple[str, ...] | None = None
    """The positions as the caller knew them (see ``aliases`` of a position); ``None``: all that
    are open."""
    ticket: int | None = None
    """What a ``close`` gave as the broker's number."""
    volume: float | None = None
    """Lots asked for; ``None``: all that is open."""


@dataclass(frozen=True, slots=True)
class PositionResult:
    """How the close of one position ended, as a call was told. Part of ``completed``."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    position: str
    key: str
    outcome: Outcome
    """``done``: the position is gone, and we closed it, or its rest. ``partial``: we took a part
    (a success if that part was what was asked for). ``already_closed``: it was gone before us.
    ``not_found``: the venue never knew it. ``rejected``: refused, nothing executed. ``not_sent``:
    no request left. ``unknown``: a request may have been executed."""
    success: bool
    volume: float = 0.0
    """Lots that this close took out."""
    closed_price: float | None = None
    """Volume-weighted price of the exits (``already_closed``: everyone's); ``None``: not said."""
    pnl: float | None = None
    """What the close realised. The close that ends a position counts its entries' costs and
    other people's exits as well; a partial one its own exits alone. ``None``: not said."""
    close_id: str = ""
    """Names this close. Empty: the entry was refused (a conflict, a malformed entry), so nothing
    was sent under it and nothing is final."""
    tag: str = ""
    """The comment that the orders of this close carry at the venue. A result that repeats
    another key's full success repeats its tag."""
    durable: bool = False
    """Whether its record was on disk when the result was returned."""

    @property
    def is_final(self) -> bool:
        """Whether the close was taken up at all."""
        return bool(self.close_id)

    @property
    def is_full_success(self) -> bool:
        """Whether the result says that the position is gone: it answers every later key."""
        return self.success and self.outcome in ("done", "already_closed")


@dataclass(frozen=True, slots=True)
class Completion:
    """``completed``: a call comes back. A call without this line is as good as ``unknown``."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    call: str
    status: Literal["ok", "fail", "unknown"]
    """``ok``: answered. With results they are the answer; positions without one are promised to
    be closed (a ``submit`` that has returned). ``fail``: answered; what was not a success stands
    in the results, and without results the call was refused whole and sent nothing. ``unknown``:
    no answer came, the call may or may not have had its effect."""
    completed_us: int
    results: tuple[PositionResult, ...] = ()
    error: str | None = None
    """What the client was told, for people."""


@dataclass(frozen=True, slots=True)
class FinalRecord:
    """``record``: the audit's final record of one position and key."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    user_id: str
    position: str
    key: str
    outcome: Outcome
    volume: float
    event_id: str
    """The record's own id: the same record sent twice is one."""
    tag: str = ""
    """As in a result. Closes that no client called for (sweeps, reversals) are explained by
    their records alone, which therefore need the tag."""
