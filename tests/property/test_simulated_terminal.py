"""The simulated terminal under arbitrary requests, prices and faults: its book stays sound."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.prices.path import PricePath
from engine.simulated import (
    AccountSettings,
    Execution,
    Fault,
    FaultKind,
    FaultPlan,
    MarginMode,
    Market,
    SimulatedTerminal,
    StopOutMode,
    SymbolSettings,
    symbol_settings,
)
from engine.simulated.api_table import Struct
from engine.simulated.requests import Request

HOUR_MS = 3_600_000
NAMES = ("EURUSD", "USDJPY")


def _path(symbol: str, digits: int, mids: list[int], spread: int, step_ms: int) -> PricePath:
    point = 10.0**-digits
    return PricePath(
        symbol=symbol,
        digits=digits,
        source="property",
        times_ms=array("q", [i * step_ms for i in range(len(mids))]),
        bids=array("d", [round(mid * point, digits) for mid in mids]),
        asks=array("d", [round((mid + spread) * point, digits) for mid in mids]),
    )


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """EURUSD and USDJPY, moving by up to a few per cent a tick, with swap and commission."""
    steps = draw(st.lists(st.integers(-3_000, 3_000), min_size=3, max_size=25))
    mids = [110_000]
    for step in steps:
        mids.append(max(1_000, mids[-1] + step))
    spread = draw(st.integers(0, 200))
    execution = draw(st.sampled_from(Execution))
    level = draw(st.sampled_from([0, 30]))

    def special(name: str) -> SymbolSettings:
        return replace(
            symbol_settings(name),
            swap_long=-7.3,
            swap_short=1.9,
            commission_per_lot=3.37,
            execution=execution,
            stops_level=level,
            freeze_level=level,
        )

    return Market(
        [
            _path("EURUSD", 5, mids, spread, 5 * HOUR_MS),
            _path("USDJPY", 3, mids[::-1], spread, 7 * HOUR_MS),
        ],
        [special(name) for name in NAMES],
    )


accounts = st.builds(
    AccountSettings,
    deposit=st.sampled_from([300.0, 5_000.0, 1e6, 1e6]),
    credit=st.sampled_from([0.0, 250.0]),
    currency=st.sampled_from(["USD", "EUR", "JPY"]),
    leverage=st.sampled_from([30, 500]),
    margin_mode=st.sampled_from([MarginMode.HEDGING, MarginMode.HEDGING, MarginMode.NETTING]),
    stop_out=st.sampled_from([0.0, 50.0]),
    stop_out_mode=st.sampled_from(StopOutMode),
    fifo=st.booleans(),
    hedge_allowed=st.sampled_from([True, True, False]),
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 12),
    st.floats(),
    st.floats(0.01, 2.0),
    st.text(max_size=40),
    st.sampled_from(NAMES),
    st.binary(max_size=3),
)
wild_requests = st.dictionaries(
    st.one_of(st.sampled_from(Request._fields), st.text(max_size=5), st.integers()), scalars
)
typed_requests = st.fixed_dictionaries(
    {
        "action": st.sampled_from([0, 1, 1, 1, 5, 6, 7, 8, 10]),
        "symbol": st.sampled_from([*NAMES, "", "GBPUSD"]),
        "volume": st.one_of(st.sampled_from([0.01, 0.1, 0.3, 1.0]), st.floats()),
        "type": st.integers(0, 9),
    },
    optional={
        "price": st.one_of(st.floats(0.5, 120.0), st.floats()),
        "stoplimit": st.floats(),
        "sl": st.one_of(st.floats(0.5, 120.0), st.floats()),
        "tp": st.one_of(st.floats(0.5, 120.0), st.floats()),
        "deviation": st.integers(0, 10_000),
        "type_filling": st.integers(0, 4),
        "type_time": st.integers(0, 4),
        "expiration": st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 1_000_000)),
        "position": st.integers(1_000_000, 1_000_012),
        "position_by": st.integers(1_000_000, 1_000_012),
        "order": st.integers(1_000_000, 1_000_012),
        "comment": st.text(max_size=29),
    },
)


def check_book(mt5: SimulatedTerminal) -> None:
    """Fail unless the book adds up, by facts that do not share the simulator's arithmetic."""
    book = mt5.book
    info = mt5.account_info()
    assert info is not None
    assert round(info.balance + info.credit + info.profit - info.equity, 6) == 0
    assert info.margin >= 0

    money = sum(d.profit + d.commission + d.swap + d.fee for d in book.deals if d.type != 3)
    assert abs(money - book.balance) < 10**-info.currency_digits / 2 + 1e-9 * abs(money)

    traded: dict[int, int] = defaultdict(int)
    entries: set[int] = set()
    tickets: list[int] = []
    for deal in book.deals:
        tickets.append(deal.ticket)
        if deal.type > 1:
            continue
        assert deal.volume > 0
        if deal.entry == 0:
            entries.add(deal.position_id)
        else:
            assert deal.position_id in entries, "an exit deal without its entry"
        traded[deal.position_id] += round(deal.volume * 100) * (1 if deal.type == 0 else -1)
    assert tickets == sorted(set(tickets))

    standing = {}
    for ticket, position in book.positions.items():
        assert ticket == position.ticket
        assert position.volume > 0
        standing[position.identifier] = round(position.volume * 100) * position.sign
    assert standing == {key: volume for key, volume in traded.items() if volume}
    if info.margin_mode != mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING:
        symbols = [position.symbol for position in book.positions.values()]
        assert len(symbols) == len(set(symbols))

    orders = [order.ticket for order in book.orders] + list(book.pending)
    assert len(orders) == len(set(orders))
    assert all(order.volume > 0 for order in book.pending.values())


@settings(max_examples=300, deadline=None)
@given(wild_requests)
def test_any_dictionary_gets_an_answer_or_an_error(request: dict[Any, Any]) -> None:
    path = _path("EURUSD", 5, [110_000], 10, 1)
    mt5 = SimulatedTerminal(Market([path]))
    mt5.initialize()
    for call in (mt5.order_check, mt5.order_send):
        answer = call(request)
        if answer is None:
            code, text = mt5.last_error()
            assert code == -2
            assert text.startswith('Invalid "')
        else:
            assert mt5.last_error() == (1, "Success")
            assert isinstance(answer.retcode, int)
    check_book(mt5)


class TerminalMachine(RuleBasedStateMachine):
    """Requests, sensible and senseless, while prices move."""

    mt5: SimulatedTerminal
    reads_change_nothing = True

    @initialize(market=markets(), account=accounts, latency_ms=st.sampled_from([0.0, 20.0, 9e6]))
    def open_account(self, market: Market, account: AccountSettings, latency_ms: float) -> None:
        self.mt5 = SimulatedTerminal(market, account, latency_ms=latency_ms)
        assert self.mt5.initialize()
        self.arm()

    def arm(self) -> None:
        """Open a few positions, as far as the account can."""
        for side, volume in ((0, 0.3), (1, 0.05), (0, 0.01)):
            self.trade("EURUSD", side, volume, None)

    def send(self, request: dict[Any, Any]) -> Struct | None:
        return self.mt5.order_send(request)

    @rule(request=wild_requests)
    def send_anything(self, request: dict[Any, Any]) -> None:
        self.send(request)

    @rule(request=typed_requests)
    def send_something_typed(self, request: dict[str, Any]) -> None:
        assert self.send(request) is not None or self.mt5.last_error()[0] == -2

    @rule(
        name=st.sampled_from(NAMES),
        side=st.integers(0, 1),
        volume=st.sampled_from([0.01, 0.05, 0.3]),
        stops=st.sampled_from([None, 0.01, 0.03]),
    )
    def trade(self, name: str, side: int, volume: float, stops: float | None) -> None:
        tick = self.mt5.symbol_info_tick(name)
        assert tick is not None
        price, sign = (tick.ask, 1) if side == 0 else (tick.bid, -1)
        request = {
            "action": 1,
            "symbol": name,
            "type": side,
            "volume": volume,
            "price": price,
            "deviation": 10_000_000,
        }
        if stops is not None:
            request["sl"] = price * (1 - sign * stops)
            request["tp"] = price * (1 + sign * stops)
        self.send(request)

    @rule(
        name=st.sampled_from(NAMES),
        order_type=st.integers(2, 5),
        away=st.sampled_from([0.01, 0.03]),
    )
    def place(self, name: str, order_type: int, away: float) -> None:
        tick = self.mt5.symbol_info_tick(name)
        assert tick is not None
        below = order_type in (2, 5)
        self.send(
            {
                "action": 5,
                "symbol": name,
                "type": order_type,
                "volume": 0.1,
                "price": tick.bid * (1 - away if below else 1 + away),
                "type_filling": 2,
            }
        )

    @rule(pick=st.integers(0, 100), share=st.sampled_from([0.3, 0.5, 1.0, 1.0, 1.5]))
    def close(self, pick: int, share: float) -> None:
        positions = self.mt5.positions_get() or ()
        if not positions:
            return
        position = positions[pick % len(positions)]
        self.send(
            {
                "action": 1,
                "symbol": position.symbol,
                "type": 1 - position.type,
                "position": position.ticket,
                "volume": max(0.01, round(position.volume * share, 2)),
                "price": position.price_current,
                "deviation": 10_000_000,
            }
        )

    @rule(pick=st.integers(0, 100))
    def close_by(self, pick: int) -> None:
        positions = self.mt5.book.positions.values()
        pairs = [
            (one.ticket, other.ticket)
            for one in positions
            for other in positions
            if one.symbol == other.symbol and one.sign != other.sign
        ]
        if pairs:
            one, other = pairs[pick % len(pairs)]
            self.send({"action": 10, "position": one, "position_by": other})

    @rule(pick=st.integers(0, 100), action=st.sampled_from([7, 8]), away=st.floats(0.5, 1.5))
    def touch_a_pending_order(self, pick: int, action: int, away: float) -> None:
        orders = list(self.mt5.book.pending.values())
        if orders:
            order = orders[pick % len(orders)]
            self.send({"action": action, "order": order.ticket, "price": order.price * away})

    @rule(ticks=st.integers(1, 4))
    def advance(self, ticks: int) -> None:
        for _ in range(ticks):
            self.mt5.advance()

    @rule(hours=st.integers(0, 80))
    def move(self, hours: int) -> None:
        self.mt5.move_to(self.mt5.time_ms + hours * HOUR_MS)

    @invariant()
    def book_is_sound(self) -> None:
        if hasattr(self, "mt5"):
            check_book(self.mt5)

    @invariant()
    def account_shows_the_sum_of_its_positions(self) -> None:
        if not (self.reads_change_nothing and hasattr(self, "mt5")):
            return
        info, positions = self.mt5.account_info(), self.mt5.positions_get()
        assert info is not None
        assert positions is not None
        assert abs(info.profit - sum(p.profit + p.swap for p in positions)) < 0.005


NEEDED: dict[FaultKind, dict[str, Any]] = {
    FaultKind.RETCODE: {"code": 10006},
    FaultKind.TIMEOUT_THEN_EXECUTED: {"reads": 2},
    FaultKind.IPC_ERROR_THEN_EXECUTED: {"reads": 2},
    FaultKind.PLACED_THEN_EXECUTED: {"reads": 2},
    FaultKind.LATE_DEALS: {"reads": 2},
    FaultKind.LINGERING_POSITION: {"reads": 2},
    FaultKind.HANG: {"seconds": 1.0},
    FaultKind.HANG_AFTER_EXECUTION: {"seconds": 1.0},
}
"""What a kind of fault cannot do without."""


class FaultyTerminalMachine(TerminalMachine):
    """The same with every kind of fault at some rate, seen through the broker's own book."""

    reads_change_nothing = False  # they count down to delayed executions

    @initialize(
        market=markets(),
        account=accounts,
        latency_ms=st.sampled_from([0.0, 20.0]),
        kinds=st.lists(st.sampled_from(FaultKind), min_size=1, max_size=6),
        seed=st.integers(0, 9),
    )
    def open_account(
        self,
        market: Market,
        account: AccountSettings,
        latency_ms: float,
        kinds: list[FaultKind],
        seed: int,
    ) -> None:
        faults = tuple(Fault(kind, rate=0.4, **NEEDED.get(kind, {})) for kind in kinds)
        self.mt5 = SimulatedTerminal(
            market,
            account,
            latency_ms=latency_ms,
            pause=lambda _: None,
            faults=FaultPlan(faults, seed),
            seed=seed,
        )
        assert self.mt5.initialize()
        self.arm()

    def send(self, request: dict[Any, Any]) -> Struct | None:
        answer = super().send(request)
        if self.mt5.last_error()[0] == -10004:
            assert self.mt5.account_info() is None
            assert self.mt5.initialize()
        return answer

    @rule(request=typed_requests)
    def send_something_typed(self, request: dict[str, Any]) -> None:
        self.send(request)


TestTerminal = TerminalMachine.TestCase
TestTerminal.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestFaultyTerminal = FaultyTerminalMachine.TestCase
TestFaultyTerminal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
