"""How a close can end (:class:`Outcome`) and what an answer calls for (:class:`Verdict`)."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How the close of one position ended."""

    DONE = "done"
    """We closed the volume that was asked for; price and P&L come from the broker's deals."""
    PARTIAL = "partial"
    """A part was closed; ``volume`` says how much, the error message what stopped the rest."""
    ALREADY_CLOSED = "already_closed"
    """Nothing was open any more; the deals say who closed it (we, SL, TP, stop-out, by hand)."""
    NOT_FOUND = "not_found"
    """The broker knows neither an open position nor deals of that number."""
    REJECTED = "rejected"
    """The broker refused, and the position is still open."""
    NOT_SENT = "not_sent"
    """No request left this process: the position is as it was."""
    UNKNOWN = "unknown"
    """A request may have been executed and the evidence stayed contradictory or away."""

    @property
    def position_is_gone(self) -> bool:
        """Whether this outcome alone proves that nothing of the position is open."""
        return self is Outcome.ALREADY_CLOSED


class Verdict(StrEnum):
    """What one answer of the broker calls for; the closer acts on this and on nothing else."""

    DONE = "done"
    PARTIAL = "partial"
    ACCEPTED = "accepted"
    """Accepted without proof of execution: settle."""
    MAYBE_MET = "maybe_met"
    """The goal may be met already (position gone, close order exists): settle."""
    RETRY_NOW = "retry_now"
    BACK_OFF = "back_off"
    SETTLE_FIRST = "settle_first"
    """No connection at the venue's side (10031): settle, then back off and try again."""
    MARKET_CLOSED = "market_closed"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    MEND = "mend"
    """The request was malformed in a way that a fresh read can mend: once."""
    OLDEST_FIRST = "oldest_first"
    """FIFO account: an older position of the symbol must go first."""
    OPERATOR = "operator"
    """Only a person can change this: fail with the reason."""

    @property
    def surely_not_executed(self) -> bool:
        """Whether the broker's answer proves that this request moved no volume."""
        return self in _SURELY_NOT_EXECUTED


_SURELY_NOT_EXECUTED = frozenset(
    {
        Verdict.RETRY_NOW,
        Verdict.BACK_OFF,
        Verdict.MARKET_CLOSED,
        Verdict.NOT_SENT,
        Verdict.MEND,
        Verdict.OLDEST_FIRST,
        Verdict.OPERATOR,
    }
)
