"""What a broker lays down for one trading account."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.simulated.numbers import AccountKind, MarginMode, StopOutMode


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One account at the simulated broker.

    Raises:
        ValueError: A value is outside what the field allows; the message names it.
    """

    deposit: float = 10_000.0
    """Money paid in before the first tick; the book's first deal."""
    currency: str = "USD"
    leverage: int = 100
    margin_mode: MarginMode = MarginMode.HEDGING
    """One position per order (hedging), or one net position per symbol."""
    login: int = 100_001
    password: str | None = field(default=None, repr=False)
    """``initialize`` and ``login`` refuse any other; ``None`` takes any.

    Leaving the password out logs in with the one that the terminal keeps, as the real one does.
    """
    server: str = "Simulated-Demo"
    name: str = "Simulated account"
    company: str = "Simulated broker"
    credit: float = 0.0
    currency_digits: int = 2
    kind: AccountKind = AccountKind.DEMO
    stop_out_mode: StopOutMode = StopOutMode.PERCENT
    margin_call: float = 100.0
    """Level at which the account is in margin call: per cent of the margin, or equity."""
    stop_out: float = 50.0
    """Level below which positions are closed by force; 0 switches that off."""
    fifo: bool = False
    """Whether the positions of a symbol must be closed oldest first (else 10045)."""
    hedge_allowed: bool = True
    """Whether a hedging account may hold opposite positions of a symbol (else 10046)."""
    trade_allowed: bool = True
    """Whether the account may trade at all (else 10017)."""
    expert_allowed: bool = True
    """Whether the broker lets programs trade on the account (else 10026)."""
    auto_trading: bool = True
    """Whether the terminal's own switch for programs is on (else 10027)."""
    api_trading: bool = True
    """Whether the terminal lets the API trade (else ``None`` and -8)."""
    limit_orders: int = 0
    """Pending orders at most; 0 for no limit (else 10033)."""
    limit_positions: int = 0
    """Open positions at most; 0 for no limit (else 10040)."""
    first_ticket: int = 1_000_001
    """Number of the first order and of the first deal; both count up from here."""

    def __post_init__(self) -> None:
        """Check every field that arithmetic depends on."""
        if not self.currency:
            raise ValueError("currency='' of an account is empty; give a code such as 'USD'")
        for name in ("leverage", "login", "first_ticket"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r} of an account must be an integer above 0")
        for name in ("deposit", "credit", "margin_call", "stop_out"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name}={value!r} of an account must be finite, 0 or above")
        for name in ("limit_orders", "limit_positions"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be 0 (no limit) or above")
        if not 0 <= self.currency_digits <= 8:
            raise ValueError(f"currency_digits={self.currency_digits!r} must be 0 to 8")

    @property
    def is_hedging(self) -> bool:
        """Whether every order opens a position of its own."""
        return self.margin_mode is MarginMode.HEDGING
