"""A terminal that says what a test tells it to say, and remembers what it was asked."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

LOGIN = 5001234


class Fails:
    """A call that returns ``value`` and leaves ``error`` in ``last_error()``."""

    def __init__(self, code: int, text: str = "", value: object = None) -> None:
        self.error = (code, text)
        self.value = value


class ScriptedTerminal:
    """Answers each function with its script: a value for ever, or a queue of values.

    An exception is raised; :class:`Fails` fails as the binding does.
    """

    def __init__(self, **scripts: object) -> None:
        self.scripts: dict[str, object] = {
            "initialize": True,
            "login": True,
            "shutdown": None,
            "symbol_select": True,
            "account_info": account_info(),
            "positions_get": (),
            "orders_get": (),
            "history_deals_get": (),
            "symbol_info": symbol_info(),
            "symbol_info_tick": SimpleNamespace(bid=1.1, ask=1.1002, time_msc=1_000),
            "order_send": result(10009),
        }
        self.scripts.update(scripts)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._error = (1, "Success")

    def called(self, function: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Arguments of every call of ``function``, in order."""
        return [(args, kwargs) for name, args, kwargs in self.calls if name == function]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """Every request that reached ``order_send``."""
        return [args[0] for args, _ in self.called("order_send")]

    def last_error(self) -> tuple[int, str]:
        return self._error

    def __getattr__(self, function: str) -> Any:
        if function.startswith("_") or function not in self.__dict__["scripts"]:
            raise AttributeError(function)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((function, args, kwargs))
            answer = self.scripts[function]
            if isinstance(answer, deque):
                answer = answer.popleft()
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Fails):
                self._error = answer.error
                return answer.value
            self._error = (1, "Success")
            return answer

        return call


def account_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "login": LOGIN,
        "trade_mode": 0,
        "leverage": 100,
        "trade_allowed": True,
        "trade_expert": True,
        "margin_mode": 2,
        "currency_digits": 2,
        "fifo_close": False,
        "balance": 10_000.0,
        "equity": 9_500.0,
        "margin": 100.0,
        "margin_level": 9_500.0,
        "server": "Venue-Demo",
        "currency": "USD",
    }
    return SimpleNamespace(**(fields | changes))


def symbol_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "name": "EURUSD",
        "visible": True,
        "digits": 5,
        "point": 0.00001,
        "trade_contract_size": 100_000.0,
        "volume_min": 0.01,
        "volume_max": 50.0,
        "volume_step": 0.01,
        "currency_base": "EUR",
        "currency_profit": "USD",
        "currency_margin": "EUR",
        "filling_mode": 1,
        "trade_exemode": 2,
    }
    return SimpleNamespace(**(fields | changes))


def position_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "ticket": 42,
        "identifier": 41,
        "symbol": "EURUSD",
        "type": 0,
        "volume": 0.3,
        "price_open": 1.2,
        "price_current": 1.1,
        "profit": -3000.0,
        "swap": -1.5,
        "time_msc": 500,
        "comment": "opened",
    }
    return SimpleNamespace(**(fields | changes))


def deal_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "ticket": 7,
        "order": 6,
        "position_id": 41,
        "symbol": "EURUSD",
        "type": 1,
        "entry": 1,
        "volume": 0.3,
        "price": 1.1,
        "profit": -3000.0,
        "commission": -2.0,
        "swap": -1.5,
        "fee": -0.25,
        "comment": "RE-TAG",
        "reason": 3,
        "time_msc": 1_000,
    }
    return SimpleNamespace(**(fields | changes))


def order_info(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "ticket": 90,
        "symbol": "EURUSD",
        "type": 2,
        "volume_current": 0.5,
        "price_open": 1.05,
        "comment": "waits",
    }
    return SimpleNamespace(**(fields | changes))


def result(retcode: int, **changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "retcode": retcode,
        "deal": 7,
        "order": 6,
        "volume": 0.0,
        "price": 0.0,
        "bid": 1.1,
        "ask": 1.1002,
        "comment": "",
        "request_id": 1,
        "retcode_external": 0,
    }
    return SimpleNamespace(**(fields | changes))
