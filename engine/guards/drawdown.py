"""Drawdown guard: how far equity has fallen below its peak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from engine import arguments
from engine.models import Severity


@dataclass(frozen=True, slots=True)
class DrawdownAlert:
    """Equity has fallen below a threshold."""

    type: Severity
    user_id: str
    equity: float
    peak: float
    drawdown: float
    """Fraction of the peak that is lost: 0.25 is a quarter."""
    threshold: float

    @property
    def reason(self) -> str:
        """The alert in words."""
        return f"drawdown {self.drawdown:.2%} has reached {self.type.value} ({self.threshold:.0%})"


class DrawdownGuard:
    """Warns, then trips, as equity falls below its peak. Holds no state: a bad input leaves none.

    Args:
        warning: fraction of the peak whose loss warns.
        critical: fraction whose loss is critical; above ``warning``.

    Raises:
        ValueError: naming the field and the value.
    """

    def __init__(self, warning: float = 0.10, critical: float = 0.20) -> None:
        """Set the thresholds."""
        self.warning = arguments.fraction("warning", warning)
        self.critical = arguments.fraction("critical", critical)
        if self.warning >= self.critical:
            arguments.refuse("warning", warning, f"it must be below critical={critical!r}")

    async def check_drawdown(
        self, equity: float, peak: float, user_id: str
    ) -> DrawdownAlert | None:
        """Judge one reading.

        Args:
            equity: the account's equity now, zero or greater (take 0 for a negative one: what
                is below zero is lost altogether).
            peak: its highest equity so far.
            user_id: whose.

        Returns:
            A ``critical`` or a ``warning`` alert, or ``None``. A peak of zero has nothing to lose.

        Raises:
            ValueError: NaN, infinite or negative input; the guard neither trips on it nor
                goes blind: the next good reading is judged as if nothing had been.
        """
        return self.judge(equity, peak, user_id)

    def judge(self, equity: float, peak: float, user_id: str) -> DrawdownAlert | None:
        """Do what :meth:`check_drawdown` does, for callers that do not await."""
        arguments.nonempty_text("user_id", user_id)
        equity = arguments.nonnegative_number("equity", equity)
        peak = arguments.nonnegative_number("peak", peak)
        if peak == 0:
            return None
        drawdown = (peak - equity) / peak
        if drawdown >= self.critical:
            kind, threshold = Severity.CRITICAL, self.critical
        elif drawdown >= self.warning:
            kind, threshold = Severity.WARNING, self.warning
        else:
            return None
        return DrawdownAlert(kind, user_id, equity, peak, drawdown, threshold)


@cache
def get_drawdown_guard() -> DrawdownGuard:
    """Return the process's one drawdown guard, with the default thresholds."""
    return DrawdownGuard()
