"""The calls that trade: a request's way to the broker and back, whatever happens to it."""

from __future__ import annotations

import math

from engine.simulated import judging
from engine.simulated.api_table import OrderCheckResult, OrderSendResult, Struct, TradeRequest
from engine.simulated.conversion import to_money
from engine.simulated.dealing import Answer
from engine.simulated.fault_injection import FaultInjector
from engine.simulated.faults import (
    EXECUTED_FIRST,
    EXECUTED_LATER,
    IPC_ERRORS,
    REASON_OF_KIND,
    RETCODE_OF_KIND,
    Fault,
    FaultKind,
)
from engine.simulated.gate import NOT_CONNECTED, SUCCESS, CallGate
from engine.simulated.numbers import RETCODE_TEXTS, Action, OrderType, Retcode
from engine.simulated.requests import InvalidArgument, Request, parse_request
from engine.simulated.selection import to_ticket
from engine.simulated.structs import position_struct

_API_TRADING_DISABLED = -8


class TradingCalls(CallGate):
    """Functions that send, judge and compute trades, as the binding answers them."""

    __slots__ = ()

    def order_send(self, request: object = None) -> Struct | None:
        """Send a trade request, a dict; see the package's documentation for its keys.

        Returns:
            The server's answer, or ``None``: nothing is known then beyond ``last_error()``.
        """
        self._error = SUCCESS
        if not self._connected:
            self._fail(NOT_CONNECTED)
            return None
        try:
            parsed = parse_request(request)
        except InvalidArgument as error:
            self._fail_argument(error)
            return None
        if not self._venue.account.api_trading:
            self._fail(_API_TRADING_DISABLED)
            return None
        if self._injector is not None:
            return self._send_with_faults(parsed, self._injector)
        self._travel()
        return self._result(parsed, self._handle(parsed))

    def _travel(self) -> None:
        """Let an order's latency pass: on the wall by ``pause``, in the market by its ticks."""
        if self._latency_ms:
            self._wait(self._latency_ms / 1000)
            self._venue.move_to(self._venue.cursor.time_ms + math.ceil(self._latency_ms))

    def _handle(self, request: Request, share: float = 1.0) -> Answer:
        return self._venue.handle(request, at_once=not self._latency_ms, share=share)

    def _result(self, request: Request, answer: Answer) -> Struct:
        self._requests += 1
        return OrderSendResult(
            (
                int(answer.retcode),
                answer.deal,
                answer.order,
                answer.volume,
                answer.price,
                answer.bid,
                answer.ask,
                RETCODE_TEXTS.get(answer.retcode, "Unknown error"),
                self._requests,
                0,
                TradeRequest(request),
            )
        )

    def _send_with_faults(self, request: Request, injector: FaultInjector) -> Struct | None:
        """Send a request through the fault plan."""
        venue = self._venue
        named = request.position or request.order or None
        decisive, companions = injector.fire(
            "order_send", named, request.symbol, venue.cursor.time_ms
        )
        by_kind = {fault.kind: fault for fault in companions}
        if FaultKind.HANG in by_kind:
            self._wait(by_kind[FaultKind.HANG].seconds)
        if decisive is not None:
            self._wait(decisive.seconds)
            if decisive.kind is FaultKind.RESTART:
                self._break_off(decisive)
                return None
        self._travel()
        target = self._target(request)
        for fault in companions:
            reason = REASON_OF_KIND.get(fault.kind)
            if reason is not None and target is not None:
                venue.close_in_between(target, reason)
        before = None
        linger = by_kind.get(FaultKind.LINGERING_POSITION)
        if linger is not None and target in venue.book.positions:
            before = position_struct(venue.book.positions[target], venue)
        deals = len(venue.book.deals)
        answer = self._decide(request, decisive)
        if FaultKind.LATE_DEALS in by_kind:
            injector.hide_deals(by_kind[FaultKind.LATE_DEALS], venue.book.deals[deals:])
        if linger is not None and before is not None and target not in venue.book.positions:
            injector.let_linger(linger, before)
        if FaultKind.HANG_AFTER_EXECUTION in by_kind:
            self._wait(by_kind[FaultKind.HANG_AFTER_EXECUTION].seconds)
        if decisive is not None and decisive.kind in IPC_ERRORS:
            self._break_off(decisive)
            return None
        return self._result(request, answer)

    def _target(self, request: Request) -> int | None:
        """Return the ticket of the position that a request is about."""
        if request.position:
            return request.position
        slot = self._venue.market.slot(request.symbol)
        if slot is None or self._venue.account.is_hedging:
            return None
        net = self._venue.book.position_of(slot)
        return None if net is None else net.ticket

    def _decide(self, request: Request, fault: Fault | None) -> Answer:
        """Carry a request out, or not, and answer it, as a fault has it."""
        if fault is None:
            return self._handle(request)
        if fault.kind is FaultKind.PARTIAL_FILL:
            return self._handle(request, fault.fraction)
        order = 0
        if fault.kind in EXECUTED_FIRST:
            order = self._handle(request).order
        elif fault.kind in EXECUTED_LATER:
            self._venue.delay(request, fault.delay_ms, fault.reads)
        code = RETCODE_OF_KIND.get(fault.kind) or fault.code or Retcode.ERROR
        return Answer(code, order=order if code == Retcode.PLACED else 0)

    def order_check(self, request: object = None) -> Struct | None:
        """Judge a request at the current prices without sending it; ``retcode`` 0 is accepted."""
        if not self._enter("order_check"):
            return None
        try:
            parsed = parse_request(request)
        except InvalidArgument as error:
            self._fail_argument(error)
            return None
        venue = self._venue
        refusal = venue.check(parsed)
        code = 0 if refusal is None else int(refusal)
        now = venue.standing()
        margin = now.margin
        slot = venue.market.slot(parsed.symbol)
        opens = parsed.action == Action.DEAL and not (parsed.position and venue.account.is_hedging)
        if opens and slot is not None and code in (0, Retcode.NO_MONEY):
            sign = 1 if judging.is_buy(parsed.type) else -1
            net = None if venue.account.is_hedging else venue.book.position_of(slot)
            against = net is not None and net.sign != sign
            volume = parsed.volume - (net.volume if net is not None and against else 0.0)
            if volume > 0:
                margin = judging.margin_after(
                    venue.book, venue.valuation, slot, sign, volume, venue.cursor
                )
        digits = venue.account.currency_digits
        return OrderCheckResult(
            (
                code,
                now.balance,
                now.equity,
                now.profit,
                margin,
                round(now.equity - margin, digits),
                now.equity / margin * 100 if margin else 0.0,
                RETCODE_TEXTS[code],
                TradeRequest(parsed),
            )
        )

    def order_calc_margin(
        self, action: int, symbol: str, volume: float, price: float
    ) -> float | None:
        """Return the margin of an order of its own, in the account's currency."""
        if not self._enter("order_calc_margin", None, symbol):
            return None
        slot = self._slot(symbol)
        if slot is None or not self._are_numbers(action, volume=volume, price=price):
            return None
        venue = self._venue
        sign = 1 if judging.is_buy(action) else -1
        per_lot = venue.valuation.margin_per_lot(slot, sign, float(price), venue.cursor)
        return to_money(per_lot * volume, venue.account.currency_digits)

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float
    ) -> float | None:
        """Return the profit between two prices, in the account's currency at current rates."""
        if not self._enter("order_calc_profit", None, symbol):
            return None
        slot = self._slot(symbol)
        if slot is None or not self._are_numbers(
            action, volume=volume, price_open=price_open, price_close=price_close
        ):
            return None
        sign = 1 if judging.is_buy(action) else -1
        return self._venue.valuation.profit(
            slot, sign, float(volume), float(price_open), float(price_close), self._venue.cursor
        )

    def _are_numbers(self, action: object, **numbers: object) -> bool:
        try:
            if to_ticket(action, "action") not in (OrderType.BUY, OrderType.SELL):
                raise InvalidArgument("action")
            for name, value in numbers.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise InvalidArgument(name)
                if not (math.isfinite(value) and value > 0):
                    raise InvalidArgument(name)
        except InvalidArgument as error:
            self._fail_argument(error)
            return False
        return True
