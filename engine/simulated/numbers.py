"""The numbers of the terminal's protocol that the simulator itself decides with.

Return codes and run-time errors carry the texts that the terminal shows. The constants of the
package stand in :mod:`engine.simulated.api_table`; those repeated here are typed, and a test
holds them to the table. No constant exists in the package for 10005, 10037, 10046 and for the
``SYMBOL_FILLING_*`` and ``SYMBOL_ORDER_*`` masks.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Retcode(IntEnum):
    """The trade server's answers to a request."""

    REQUOTE = 10004
    REJECT = 10006
    CANCEL = 10007
    PLACED = 10008
    DONE = 10009
    DONE_PARTIAL = 10010
    ERROR = 10011
    TIMEOUT = 10012
    INVALID = 10013
    INVALID_VOLUME = 10014
    INVALID_PRICE = 10015
    INVALID_STOPS = 10016
    TRADE_DISABLED = 10017
    MARKET_CLOSED = 10018
    NO_MONEY = 10019
    PRICE_CHANGED = 10020
    PRICE_OFF = 10021
    INVALID_EXPIRATION = 10022
    ORDER_CHANGED = 10023
    TOO_MANY_REQUESTS = 10024
    NO_CHANGES = 10025
    SERVER_DISABLES_AT = 10026
    CLIENT_DISABLES_AT = 10027
    LOCKED = 10028
    FROZEN = 10029
    INVALID_FILL = 10030
    CONNECTION = 10031
    ONLY_REAL = 10032
    LIMIT_ORDERS = 10033
    LIMIT_VOLUME = 10034
    INVALID_ORDER = 10035
    POSITION_CLOSED = 10036
    INVALID_CLOSE_VOLUME = 10038
    CLOSE_ORDER_EXIST = 10039
    LIMIT_POSITIONS = 10040
    REJECT_CANCEL = 10041
    LONG_ONLY = 10042
    SHORT_ONLY = 10043
    CLOSE_ONLY = 10044
    FIFO_CLOSE = 10045
    HEDGE_PROHIBITED = 10046


RETCODE_TEXTS: dict[int, str] = {
    0: "Done",
    Retcode.REQUOTE: "Requote",
    Retcode.REJECT: "Request rejected",
    Retcode.CANCEL: "Request canceled by trader",
    Retcode.PLACED: "Order placed",
    Retcode.DONE: "Request executed",
    Retcode.DONE_PARTIAL: "Request executed partially",
    Retcode.ERROR: "Request processing error",
    Retcode.TIMEOUT: "Request timed out",
    Retcode.INVALID: "Invalid request",
    Retcode.INVALID_VOLUME: "Invalid volume",
    Retcode.INVALID_PRICE: "Invalid price",
    Retcode.INVALID_STOPS: "Invalid stops",
    Retcode.TRADE_DISABLED: "Trade disabled",
    Retcode.MARKET_CLOSED: "Market closed",
    Retcode.NO_MONEY: "No money",
    Retcode.PRICE_CHANGED: "Price changed",
    Retcode.PRICE_OFF: "No prices",
    Retcode.INVALID_EXPIRATION: "Invalid expiration",
    Retcode.ORDER_CHANGED: "Order state changed",
    Retcode.TOO_MANY_REQUESTS: "Too many requests",
    Retcode.NO_CHANGES: "No changes",
    Retcode.SERVER_DISABLES_AT: "AutoTrading disabled by server",
    Retcode.CLIENT_DISABLES_AT: "AutoTrading disabled by client",
    Retcode.LOCKED: "Request locked",
    Retcode.FROZEN: "Order or position frozen",
    Retcode.INVALID_FILL: "Unsupported filling mode",
    Retcode.CONNECTION: "No connection",
    Retcode.ONLY_REAL: "Only real accounts allowed",
    Retcode.LIMIT_ORDERS: "Orders limit reached",
    Retcode.LIMIT_VOLUME: "Volume limit reached",
    Retcode.INVALID_ORDER: "Invalid or prohibited order type",
    Retcode.POSITION_CLOSED: "Position closed",
    Retcode.INVALID_CLOSE_VOLUME: "Invalid close volume",
    Retcode.CLOSE_ORDER_EXIST: "Close order exists",
    Retcode.LIMIT_POSITIONS: "Positions limit reached",
    Retcode.REJECT_CANCEL: "Pending order rejected and canceled",
    Retcode.LONG_ONLY: "Only long positions allowed",
    Retcode.SHORT_ONLY: "Only short positions allowed",
    Retcode.CLOSE_ONLY: "Only position closing allowed",
    Retcode.FIFO_CLOSE: "Positions must be closed by FIFO rule",
    Retcode.HEDGE_PROHIBITED: "Hedging is prohibited",
}
"""What the answer's ``comment`` says, by return code; 0 is ``order_check``'s success."""

ERROR_TEXTS: dict[int, str] = {
    1: "Success",
    -1: "Terminal: Call failed",
    -2: "Terminal: Invalid params",
    -3: "Terminal: No memory",
    -4: "Terminal: Not found",
    -5: "Terminal: Invalid version",
    -6: "Terminal: Authorization failed",
    -7: "Terminal: Unsupported",
    -8: "Terminal: Auto trading disabled",
    -10000: "Internal fail",
    -10001: "IPC send failed",
    -10002: "IPC recv failed",
    -10003: "IPC initialize failed",
    -10004: "No IPC connection",
    -10005: "IPC timeout",
}
"""What ``last_error()`` says, by code."""


class Action(IntEnum):
    """``TRADE_ACTION_*``."""

    DEAL = 1
    PENDING = 5
    SLTP = 6
    MODIFY = 7
    REMOVE = 8
    CLOSE_BY = 10


class OrderType(IntEnum):
    """``ORDER_TYPE_*``."""

    BUY = 0
    SELL = 1
    BUY_LIMIT = 2
    SELL_LIMIT = 3
    BUY_STOP = 4
    SELL_STOP = 5
    BUY_STOP_LIMIT = 6
    SELL_STOP_LIMIT = 7
    CLOSE_BY = 8


class OrderState(IntEnum):
    """``ORDER_STATE_*``, as far as the simulator uses them."""

    PLACED = 1
    CANCELED = 2
    PARTIAL = 3
    FILLED = 4
    REJECTED = 5
    EXPIRED = 6


class Filling(IntEnum):
    """``ORDER_FILLING_*``: how much of an order must be filled at once."""

    FOK = 0
    IOC = 1
    RETURN = 2
    BOC = 3


class FillingMask(IntFlag):
    """Bits of ``symbol_info().filling_mode``; not the numbers of :class:`Filling`."""

    FOK = 1
    IOC = 2
    BOC = 4


class OrderMask(IntFlag):
    """Bits of ``symbol_info().order_mode``: which orders a symbol takes."""

    MARKET = 1
    LIMIT = 2
    STOP = 4
    STOP_LIMIT = 8
    SL = 16
    TP = 32
    CLOSE_BY = 64
    ALL = 127


class OrderTime(IntEnum):
    """``ORDER_TIME_*``: how long a pending order stands."""

    GTC = 0
    DAY = 1
    SPECIFIED = 2
    SPECIFIED_DAY = 3


class Entry(IntEnum):
    """``DEAL_ENTRY_*``."""

    IN = 0
    OUT = 1
    INOUT = 2
    OUT_BY = 3


class Reason(IntEnum):
    """``*_REASON_*`` of orders, deals and positions: who caused them."""

    CLIENT = 0
    EXPERT = 3
    SL = 4
    TP = 5
    SO = 6


class CalcMode(IntEnum):
    """``SYMBOL_CALC_MODE_*``, as far as the simulator computes them."""

    FOREX = 0
    FUTURES = 1
    CFD = 2
    CFDINDEX = 3
    CFDLEVERAGE = 4
    FOREX_NO_LEVERAGE = 5


class Execution(IntEnum):
    """``SYMBOL_TRADE_EXECUTION_*``."""

    REQUEST = 0
    INSTANT = 1
    MARKET = 2
    EXCHANGE = 3


class TradeMode(IntEnum):
    """``SYMBOL_TRADE_MODE_*``."""

    DISABLED = 0
    LONG_ONLY = 1
    SHORT_ONLY = 2
    CLOSE_ONLY = 3
    FULL = 4


class SwapMode(IntEnum):
    """``SYMBOL_SWAP_MODE_*``, as far as the simulator computes them."""

    DISABLED = 0
    POINTS = 1
    CURRENCY_SYMBOL = 2
    CURRENCY_MARGIN = 3
    CURRENCY_DEPOSIT = 4
    INTEREST_CURRENT = 5
    INTEREST_OPEN = 6


class MarginMode(IntEnum):
    """``ACCOUNT_MARGIN_MODE_*``."""

    NETTING = 0
    EXCHANGE = 1
    HEDGING = 2


class StopOutMode(IntEnum):
    """``ACCOUNT_STOPOUT_MODE_*``: levels in per cent of the margin, or in money of equity."""

    PERCENT = 0
    MONEY = 1


class AccountKind(IntEnum):
    """``ACCOUNT_TRADE_MODE_*``."""

    DEMO = 0
    CONTEST = 1
    REAL = 2
