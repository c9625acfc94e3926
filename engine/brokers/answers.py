"""What each answer of a MetaTrader 5 terminal means: the table, as data.

An order ends in one of two ways: with a result whose ``retcode`` is looked up in
:data:`RETCODES`, or with ``None`` and a ``last_error()`` that :func:`classify_error` judges. What
stands in neither table is :attr:`Verdict.UNKNOWN`: a code that nobody has listed proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.outcomes import Verdict


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer calls for, and what a person should read about it."""

    verdict: Verdict
    reason: str


_ROWS: Final[tuple[tuple[int, Verdict, str], ...]] = (
    (10004, Verdict.RETRY_NOW, "requote: the price has moved"),
    (10006, Verdict.BACK_OFF, "the request was rejected"),
    (10007, Verdict.BACK_OFF, "the request was cancelled by the trader's side"),
    (10008, Verdict.ACCEPTED, "the order is placed; nothing says yet that it was executed"),
    (10009, Verdict.DONE, "done"),
    (10010, Verdict.PARTIAL, "only a part of the volume was executed"),
    (10011, Verdict.UNKNOWN, "the terminal reports an error while the request was processed"),
    (10012, Verdict.UNKNOWN, "the request timed out; it may have been executed"),
    (10013, Verdict.MAYBE_MET, "invalid request: the position may be closed already"),
    (10014, Verdict.MEND, "the volume is not valid for this symbol"),
    (10015, Verdict.RETRY_NOW, "the price is not valid any more"),
    (10016, Verdict.MEND, "stop loss or take profit is not valid"),
    (
        10017,
        Verdict.OPERATOR,
        "trading is disabled for this account or symbol; ask the broker to enable it",
    ),
    (10018, Verdict.MARKET_CLOSED, "the market is closed"),
    (
        10019,
        Verdict.OPERATOR,
        "not enough money for this request; add funds or reduce what is open",
    ),
    (10020, Verdict.RETRY_NOW, "the price has changed"),
    (10021, Verdict.RETRY_NOW, "there is no quote to process the request with"),
    (10022, Verdict.MEND, "the order's expiration is not valid"),
    (10023, Verdict.BACK_OFF, "the order's state has changed"),
    (10024, Verdict.BACK_OFF, "too many requests"),
    (10025, Verdict.MAYBE_MET, "the request would change nothing"),
    (
        10026,
        Verdict.OPERATOR,
        "the broker's server has disabled automated trading for this account; ask the broker",
    ),
    (
        10027,
        Verdict.OPERATOR,
        "automated trading is switched off in the terminal; switch on 'Algo Trading' there",
    ),
    (10028, Verdict.BACK_OFF, "the request is locked for processing"),
    (10029, Verdict.BACK_OFF, "the order or position is frozen: the price is too near its stops"),
    (10030, Verdict.MEND, "the order filling mode is not supported for this symbol"),
    (10031, Verdict.SETTLE_FIRST, "the terminal has no connection to the trade server"),
    (
        10032,
        Verdict.OPERATOR,
        "the operation is allowed for real accounts only; use such an account",
    ),
    (
        10033,
        Verdict.OPERATOR,
        "the limit of pending orders is reached; cancel some, or ask the broker to raise it",
    ),
    (
        10034,
        Verdict.OPERATOR,
        "the symbol's limit of volume is reached; close or cancel some, or ask the broker",
    ),
    (10035, Verdict.MAYBE_MET, "the order is unknown or of a wrong type; it may be gone already"),
    (10036, Verdict.MAYBE_MET, "the position is closed already"),
    (10038, Verdict.MEND, "the volume to close is above what is open"),
    (10039, Verdict.MAYBE_MET, "an order that closes this position exists already"),
    (
        10040,
        Verdict.OPERATOR,
        "the limit of open positions is reached; close some, or ask the broker to raise it",
    ),
    (
        10041,
        Verdict.OPERATOR,
        "the activation of the pending order was rejected and the order cancelled; look at it",
    ),
    (
        10042,
        Verdict.OPERATOR,
        "the symbol takes long positions only; ask the broker, or close by hand",
    ),
    (
        10043,
        Verdict.OPERATOR,
        "the symbol takes short positions only; ask the broker, or close by hand",
    ),
    (
        10044,
        Verdict.OPERATOR,
        "the symbol takes closing orders only and did not see this one as such; close by hand",
    ),
    (
        10045,
        Verdict.OLDEST_FIRST,
        "FIFO rule: an older position of the symbol must be closed first",
    ),
    (
        10046,
        Verdict.OPERATOR,
        "opposite positions of a symbol are forbidden on this account; close by hand",
    ),
)

RETCODES: Final[Mapping[int, Meaning]] = MappingProxyType(
    {code: Meaning(verdict, reason) for code, verdict, reason in _ROWS}
)
"""Every trade server return code that has a known meaning."""

LOST_CONNECTION: Final = frozenset(range(-10005, -9999))
"""``last_error`` codes (-10000 … -10005) of the pipe between this process and the terminal."""

LAST_ERRORS: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        -1: Meaning(Verdict.UNKNOWN, "the terminal failed without saying why"),
        -8: Meaning(
            Verdict.NOT_SENT,
            "trading through the Python API is disabled; allow it in the terminal's options, "
            "'Expert Advisors'",
        ),
        -10000: Meaning(Verdict.UNKNOWN, "the connection to the terminal failed"),
        -10001: Meaning(Verdict.UNKNOWN, "sending to the terminal failed"),
        -10002: Meaning(Verdict.UNKNOWN, "the terminal's answer could not be received"),
        -10003: Meaning(Verdict.UNKNOWN, "the connection to the terminal could not be set up"),
        -10004: Meaning(Verdict.UNKNOWN, "there is no connection to the terminal"),
        -10005: Meaning(Verdict.UNKNOWN, "the terminal did not answer in time"),
    }
)
"""What ``last_error()`` means after an ``order_send`` that returned ``None``.

-2 stands apart, because its text decides: see :func:`classify_error`.
"""


def classify_retcode(code: int) -> Meaning:
    """Say what a result's ``retcode`` calls for; an unlisted code is UNKNOWN."""
    meaning = RETCODES.get(code)
    if meaning is None:
        return Meaning(Verdict.UNKNOWN, f"the terminal answered {code}, a code without a meaning")
    return meaning


def classify_error(code: int, text: str, *, sent: bool) -> Meaning:
    """Say what ``None`` with this ``last_error()`` calls for.

    Args:
        code: First part of ``last_error()``.
        text: Second part. Only ``Invalid "…" argument`` makes a -2 a proof that the binding
            refused the request before it left the process.
        sent: Whether ``order_send`` was called at all. Whatever fails before that call (a lost
            connection, no price) is NOT_SENT.

    Returns:
        The verdict, and a reason that quotes the terminal's own code and text.
    """
    said = f"last_error ({code}, {text!r})"
    known = LAST_ERRORS.get(code)
    if not sent:
        why = known.reason if known else "the terminal could not be asked"
        return Meaning(Verdict.NOT_SENT, f"no request was sent: {why}; {said}")
    if known is not None:
        return Meaning(known.verdict, f"{known.reason}; {said}")
    if code == -2 and text.startswith('Invalid "') and text.endswith('" argument'):
        return Meaning(Verdict.NOT_SENT, f"the request was malformed; {said}")
    return Meaning(Verdict.UNKNOWN, f"no result, and an error that proves nothing; {said}")
