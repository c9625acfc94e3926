"""A broker that replays prices: the real adapter over a simulated terminal, moved tick by tick.

Market time is apart from wall time. Each account walks the price path with a cursor of its own;
``speed`` only decides how long it waits between two ticks, so triggers, prices and P&L depend on
prices, seed and options alone, whatever the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.brokers.mt5 import MT5Broker
from engine.brokers.port import AccountState, Side
from engine.errors import BrokerUnavailable
from engine.prices.path import PricePath
from engine.simulated.account import AccountSettings
from engine.simulated.faults import FaultPlan
from engine.simulated.market import Market
from engine.simulated.price_shocks import with_shocks
from engine.simulated.symbols import SymbolSettings
from engine.simulated.terminal import SimulatedTerminal


class ReplayBroker(MT5Broker):
    """One simulated account: a :class:`engine.brokers.port.MarketFeed` with ``SessionTimes``.

    Args:
        terminal: the terminal, its cursor at the first tick.
        positions: side and lots of what is opened at the first prices.
        speed: market seconds for a wall second; 0 is as fast as the machine can.
        stand_at_ms: market time to which the account is moved after opening; its watch goes on
            from there.
        monotonic: the wall clock that paces the replay.
    """

    def __init__(
        self,
        terminal: SimulatedTerminal,
        *,
        positions: Sequence[tuple[Side, float]] = (),
        speed: float = 0.0,
        stand_at_ms: int | None = None,
        login: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; positions are opened by the first :meth:`connect`."""
        super().__init__(terminal, login=login)
        self.terminal = terminal
        self._to_open = tuple(positions)
        self._speed = speed
        self._stand_at_ms = stand_at_ms
        self._monotonic = monotonic
        self._pace: tuple[float, float] | None = None
        self._has_begun = False

    async def connect(self) -> AccountState:
        """Connect, and on the first time open the account's positions.

        Raises:
            BrokerUnavailable: the simulated broker refused to open one; the message says why.
        """
        state = await super().connect()
        if not self._to_open:
            return state
        opening, self._to_open = self._to_open, ()
        symbol = self.terminal.market.symbols[0]
        # The plan is for what the engine does: its first order_send is the engine's first.
        with self.terminal.without_latency(), self.terminal.without_faults():
            for side, lots in opening:
                self._open(symbol, side, lots)
        if self._stand_at_ms is not None:
            self.terminal.move_to(self._stand_at_ms)
        return await self.account()

    def _open(self, symbol: str, side: Side, lots: float) -> None:
        terminal = self.terminal
        is_long = side is Side.LONG
        answer = terminal.order_send(
            {
                "action": terminal.TRADE_ACTION_DEAL,
                "symbol": symbol,
                "volume": lots,
                "type": terminal.ORDER_TYPE_BUY if is_long else terminal.ORDER_TYPE_SELL,
                "type_filling": terminal.ORDER_FILLING_IOC,
            }
        )
        if answer is None or answer.retcode != terminal.TRADE_RETCODE_DONE:
            said = terminal.last_error() if answer is None else (answer.retcode, answer.comment)
            raise BrokerUnavailable(
                f"the simulated broker refused to open {lots!r} lots {side.value} of {symbol}: "
                f"{said}; fewer positions or less leverage may fit"
            )

    def due_in(self) -> float | None:
        """Return the wall seconds until the next tick; 0 without pace, ``None`` after the last.

        The first one is the tick at which the positions were opened: guards have to see it, for
        it is their first peak of equity and their first price.
        """
        if not self._has_begun:
            return 0.0
        upcoming = self.terminal.next_tick_ms()
        if upcoming is None:
            return None
        if self._speed == 0:
            return 0.0
        now = self._monotonic()
        if self._pace is None:
            self._pace = (now, self.terminal.time_ms)
        started, first_ms = self._pace
        return max(0.0, started + (upcoming - first_ms) / 1000 / self._speed - now)

    async def opens_in_s(self, symbol: str) -> float | None:
        """Return the wall seconds until a market opens; see
        :class:`engine.brokers.port.SessionTimes`.

        ``None`` also without pace: then nothing ties market time to the wall's.
        """
        wait_ms = self.terminal.opens_in_ms(symbol)
        if not wait_ms:
            return None if wait_ms is None else 0.0
        return wait_ms / 1000 / self._speed if self._speed else None

    def advance(self) -> None:
        """Move to the next tick; at first, to the one that the account stands at."""
        if self._has_begun:
            self.terminal.advance()
        self._has_begun = True


def replay_broker(
    user_id: str,
    *,
    prices: PricePath,
    login: int = 100_001,
    deposit: float = 10_000.0,
    currency: str = "USD",
    account_leverage: int = 500,
    positions: Sequence[tuple[str, float]] = (),
    latency_ms: float = 0.0,
    seed: int = 0,
    speed: float = 0.0,
    stand_at_ms: int | None = None,
    stop_out: float = 0.0,
    symbols: Sequence[SymbolSettings] = (),
    faults: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    shocks: Iterable[Mapping[str, Any]] = (),
    pause: Callable[[float], None] | None = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> ReplayBroker:
    """Make a replaying broker; name it ``engine.simulated.replay:replay_broker`` in a spec.

    Args:
        user_id: whose.
        prices: the path to walk.
        login: number of the account.
        deposit: money at the start, in ``currency``.
        currency: the account's.
        account_leverage: what the broker lends, for the margin.
        positions: side (``long`` or ``short``) and lots, opened at the first prices.
        latency_ms: from order to fill in market time, and the wait for the answer in wall time.
        seed: of the terminal's randomness.
        speed: market seconds for a wall second; 0 is as fast as the machine can.
        stand_at_ms: market time to which the account is moved after opening.
        stop_out: margin level in per cent at which the broker itself closes; 0 is never, so that
            what is measured is the engine alone.
        symbols: specifications that differ from the catalogue's.
        faults: what goes wrong, as data (:meth:`~engine.simulated.faults.FaultPlan.from_data`).
            Opening the positions meets none and counts for none: ``"nth": 1`` is the first order
            that the engine sends.
        shocks: what happens to the prices, as data
            (:func:`~engine.simulated.price_shocks.with_shocks`); the account then walks prices of
            its own. At one moment for many accounts, shock the path once and share it.
        pause: waits latency and hangs in wall time; ``None`` does not wait.
        monotonic: the wall clock, in seconds, of the pace and of faults that count wall time.

    Raises:
        ValueError: an argument, a fault or a shock is wrong; the message names it.
    """
    terminal = SimulatedTerminal(
        Market([with_shocks(prices, shocks)], symbols=list(symbols) or None),
        AccountSettings(
            login=login,
            name=user_id,
            deposit=deposit,
            currency=currency,
            leverage=account_leverage,
            stop_out=stop_out,
            margin_call=0.0,
        ),
        seed=seed,
        latency_ms=latency_ms,
        pause=pause,
        faults=FaultPlan.from_data(faults),
        wall_ms=lambda: monotonic() * 1000,
    )
    return ReplayBroker(
        terminal,
        positions=[(Side(side), lots) for side, lots in positions],
        speed=speed,
        stand_at_ms=stand_at_ms,
        login=login,
        monotonic=monotonic,
    )
