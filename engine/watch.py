"""Watching one account: read it, ask the guards, keep the peak, say what has tripped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.brokers.port import AccountState, Broker, Position, Quote
from engine.clock import Clock, to_datetime
from engine.errors import BrokerError
from engine.guards.drawdown import DrawdownAlert, DrawdownGuard
from engine.guards.market import MarketGuard
from engine.identity import guard_trigger_id
from engine.models import GuardTrigger, GuardType, PositionRef, Severity

CALM = 0.75
"""Share of the warning drawdown below which a warning is armed again: prices tremble at lines."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an account has shown."""

    trigger: GuardTrigger | None = None
    warning: DrawdownAlert | None = None
    """A drawdown warning: once when the line is crossed, and again only after a calm."""
    blind: str | None = None
    """Why the guards could not judge this reading; the next one is judged as if nothing were."""
    inputs: Mapping[str, Any] = field(default_factory=dict)


class AccountWatch:
    """Guards over one account.

    Holds what the guards need from the past: the peak of equity and each symbol's last price.

    Args:
        user_id: the account.
        broker: where to read it.
        clock: dates the triggers.
        drawdown: trips for the whole account.
        market: trips for all positions of the symbol whose market is gone.
        peak: the highest equity so far; the first reading's if 0.
    """

    def __init__(
        self,
        user_id: str,
        broker: Broker,
        clock: Clock,
        *,
        drawdown: DrawdownGuard | None = None,
        market: MarketGuard | None = None,
        peak: float = 0.0,
    ) -> None:
        """Start with no past but ``peak``."""
        self.user_id = user_id
        self.peak = peak
        self._broker = broker
        self._clock = clock
        self._drawdown = drawdown or DrawdownGuard()
        self._market = market or MarketGuard()
        self._last_mid: dict[str, float] = {}
        self._warned = False

    async def look(self) -> Look:
        """Read the account once and judge it; at most one trigger, drawdown before market."""
        try:
            account = await self._broker.account()
            positions = await self._broker.positions()
            symbols = sorted({p.symbol for p in positions})
            quotes = [await self._broker.quote(symbol) for symbol in symbols]
        except BrokerError as error:
            return Look(blind=str(error))
        self.peak = max(self.peak, account.equity)
        try:
            return self._judge(account, positions, quotes)
        except ValueError as error:
            return Look(blind=str(error))
        finally:
            for quote in quotes:
                if quote.bid > 0 and quote.ask >= quote.bid:
                    self._last_mid[quote.symbol] = quote.mid

    def _judge(
        self, account: AccountState, positions: Sequence[Position], quotes: Sequence[Quote]
    ) -> Look:
        if not positions:
            return Look()
        inputs = _inputs(account, self.peak, quotes)
        # What is below zero is lost altogether: a gap can take an account there.
        alert = self._drawdown.judge(max(account.equity, 0.0), self.peak, self.user_id)
        warning = None
        if alert is None:
            if self._drawdown_is_small(account.equity):
                self._warned = False
        elif alert.type is Severity.CRITICAL:
            return self._tripped(GuardType.DRAWDOWN, alert.reason, inputs)
        elif not self._warned:
            self._warned, warning = True, alert
        for quote in quotes:
            previous = self._last_mid.get(quote.symbol)
            close, why = self._market.judge(quote.symbol, quote.bid, quote.ask, previous)
            if close and why is not None:
                reason = f"{why.value} in {quote.symbol}: {quote.bid!r}/{quote.ask!r}"
                if previous is not None:
                    reason += f" after {previous:.8g}"
                look = self._tripped(
                    GuardType.MARKET, reason, inputs, _scope(positions, quote.symbol)
                )
                return Look(look.trigger, warning, inputs=inputs)
        return Look(warning=warning, inputs=inputs if warning else {})

    def _drawdown_is_small(self, equity: float) -> bool:
        """Whether equity is so far above the warning line that crossing it anew is news."""
        return self.peak - equity < CALM * self._drawdown.warning * self.peak

    def _tripped(
        self,
        guard: GuardType,
        reason: str,
        inputs: Mapping[str, Any],
        scope: tuple[PositionRef, ...] | None = None,
    ) -> Look:
        now_us = self._clock.wall_us()
        trigger = GuardTrigger(
            user_id=self.user_id,
            guard=guard,
            reason=reason,
            severity=Severity.CRITICAL,
            positions=scope,
            trigger_id=guard_trigger_id(self.user_id, guard.value, now_us),
            triggered_at=to_datetime(now_us),
            inputs=inputs,
        )
        return Look(trigger, inputs=inputs)


def _scope(positions: Sequence[Position], symbol: str) -> tuple[PositionRef, ...] | None:
    """Return the positions of ``symbol``; ``None``, which is all, when no other is held."""
    affected = tuple(PositionRef(p.position_id, p.ticket) for p in positions if p.symbol == symbol)
    return None if len(affected) == len(positions) else affected


def _inputs(account: AccountState, peak: float, quotes: Sequence[Quote]) -> dict[str, Any]:
    """Return what the guards saw, as plain JSON values: equity, peak, ticks and their times."""
    return {
        "equity": account.equity,
        "balance": account.balance,
        "peak": peak,
        "ticks": [
            {"symbol": q.symbol, "bid": q.bid, "ask": q.ask, "time_ms": q.time_ms} for q in quotes
        ],
    }
