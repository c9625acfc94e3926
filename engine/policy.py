"""How patiently, and in which order, an account is closed: waits bounded, retries counted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from engine import arguments


class ClosingOrder(StrEnum):
    """Which position goes first."""

    LARGEST_LOSS = "largest_loss"
    LARGEST_EXPOSURE = "largest_exposure"
    OLDEST_FIRST = "oldest_first"
    """Forced on accounts whose broker demands first in, first out."""
    AS_GIVEN = "as_given"


@dataclass(frozen=True, slots=True)
class ClosingPolicy:
    """Limits of one close. Times are seconds.

    Raises:
        ValueError: naming the field and the value.
    """

    order: ClosingOrder = ClosingOrder.LARGEST_LOSS
    sends_orders: bool = True
    """``False`` observes: everything is decided and recorded, nothing is sent."""
    allow_live: bool = False
    """Whether orders may go to an account that its broker calls real."""
    most_attempts: int = 8
    """Requests sent for one position under one key."""
    position_budget_s: float = 30.0
    """How long retries of one position may go on; settling counts."""
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 2.0
    settle_window_s: float = 10.0
    """How long a request of unknown fate may still act at the venue. No resend before its end."""
    settle_first_s: float = 0.05
    """First wait between two looks at the evidence; the waits grow up to ``longest_backoff_s``."""
    deal_lag_s: float = 2.0
    """How long deals may lag behind the fill (300-800 ms are reported)."""
    waits_for_session: bool = False
    """Whether a closed market is waited for: the close then ends as
    :class:`engine.errors.MarketClosed`, which is not final, and its key is tried again later.
    ``False`` tries a few times and calls it REJECTED."""
    session_probe_s: float = 60.0
    """How long a market is taken to be closed after it was found so, unless its price moves."""
    session_wait_s: float = 4 * 86_400.0
    """How long a closed market is waited for altogether: a long weekend by default."""
    read_deadline_s: float = 10.0
    send_deadline_s: float = 75.0
    """After this an unanswered request counts as UNKNOWN (never as refused). A broker's own
    time-out (60 s for MetaTrader 5) should strike first: it knows more."""

    def __post_init__(self) -> None:
        """Refuse limits that limit nothing."""
        object.__setattr__(self, "order", arguments.member("order", self.order, ClosingOrder))
        arguments.positive_integer("most_attempts", self.most_attempts)
        for item in fields(self):
            if item.name.endswith("_s"):
                arguments.positive_number(item.name, getattr(self, item.name))
