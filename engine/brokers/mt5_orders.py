"""A terminal's orders: the request that goes out, and the answer that comes back, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, Final

from engine.brokers.answers import Meaning, classify_retcode
from engine.brokers.mt5_reading import FILL_OR_KILL, IMMEDIATE_OR_CANCEL, RETURN
from engine.brokers.port import LONGEST_TAG, Answer, CloseOrder, Side
from engine.outcomes import Verdict

INVALID_FILL: Final = 10030

OTHER_FILLING: Final = {
    FILL_OR_KILL: IMMEDIATE_OR_CANCEL,
    IMMEDIATE_OR_CANCEL: FILL_OR_KILL,
    RETURN: IMMEDIATE_OR_CANCEL,
}
"""The filling to try after a symbol has refused one."""

NEVER_SENT: Final = 0
"""Code of an answer that the adapter gives by itself, because nothing was sent."""

_DEAL: Final = 1
_REMOVE: Final = 8
_BUY: Final = 0
_SELL: Final = 1
_GOOD_TILL_CANCELLED: Final = 0
_DUST: Final = Decimal("0.000001")  # of a step: what binary fractions leave behind, and no more

type_of_close: Final = {Side.LONG: _SELL, Side.SHORT: _BUY}


def check_tag(tag: str) -> None:
    """Refuse a close tag that the terminal would cut short, mangle or reject.

    Raises:
        ValueError: ``tag`` is empty, too long, or has characters outside printable ASCII.
    """
    if not (0 < len(tag) <= LONGEST_TAG and tag.isascii() and tag.isprintable()):
        raise ValueError(
            f"tag={tag!r} must be 1 to {LONGEST_TAG} printable ASCII characters: the terminal "
            "keeps no more as a comment, and a cut tag is not found again"
        )


def whole_steps(volume: float, step: float, largest: float) -> float:
    """Round a volume down to whole steps, exactly, and to ``largest`` lots at most.

    0.3 - 0.1 is not 0.2 in binary: what lies within a millionth of a step below a whole step
    counts as that step. Zero means that ``volume`` is less than one step.
    """
    if step <= 0:  # a symbol without steps takes what it is given
        return min(volume, largest) if largest > 0 else volume
    exact_step = _decimal(step)
    steps = (Decimal(repr(volume)) / exact_step + _DUST).to_integral_value(ROUND_FLOOR)
    rounded = float(steps * exact_step)
    return whole_steps(largest, step, 0.0) if 0 < largest < rounded else rounded


@lru_cache(maxsize=256)
def _decimal(step: float) -> Decimal:
    return Decimal(repr(step))


def close_request(
    order: CloseOrder,
    *,
    volume: float,
    price: float,
    filling: int,
    deviation: int,
    magic: int,
) -> dict[str, Any]:
    """Build the request of a close.

    Every key is written out, because a missing one means 0 to the terminal: BUY, fill or kill.
    ``position`` names the ticket also on netting accounts, where it does no harm; without it a
    hedging account would open a second position.
    """
    return {
        "action": _DEAL,
        "symbol": order.symbol,
        "volume": volume,
        "type": type_of_close[order.side],
        "position": order.ticket,
        "price": price,
        "deviation": deviation,
        "magic": magic,
        "comment": order.tag,
        "type_time": _GOOD_TILL_CANCELLED,
        "type_filling": filling,
    }


def cancel_request(ticket: int) -> dict[str, Any]:
    """Build the request that removes a pending order."""
    return {"action": _REMOVE, "order": ticket}


def read_answer(request: Mapping[str, Any], result: Any, *, asked: float = 0.0) -> Answer:
    """Turn the struct that ``order_send`` returned into a classified answer.

    A DONE for less than the ``asked`` lots is a PARTIAL: the closer has to go on.
    """
    code, volume = result.retcode, result.volume
    meaning = classify_retcode(code)
    verdict = meaning.verdict
    if verdict is Verdict.DONE and 0.0 < volume < asked * (1.0 - 1e-9):
        verdict = Verdict.PARTIAL
    comment = result.comment
    return Answer(
        verdict=verdict,
        code=code,
        text=meaning.reason if not comment else f"{meaning.reason} ({code}: {comment})",
        volume=volume,
        price=result.price,
        order=result.order,
        deal=result.deal,
        details=_details(
            request,
            {
                "answer.retcode": code,
                "answer.comment": comment,
                "answer.volume": volume,
                "answer.price": result.price,
                "answer.bid": result.bid,
                "answer.ask": result.ask,
                "answer.order": result.order,
                "answer.deal": result.deal,
                "answer.request_id": result.request_id,
                "answer.retcode_external": result.retcode_external,
            },
        ),
    )


def failed_answer(request: Mapping[str, Any], meaning: Meaning, code: int, said: str) -> Answer:
    """Build the answer to a request that got no result: ``said`` is all that is known."""
    return Answer(
        verdict=meaning.verdict,
        code=code,
        text=meaning.reason,
        details=_details(request, {"answer.retcode": None, "answer.error": said}),
    )


def _details(
    request: Mapping[str, Any], answer: dict[str, str | int | float | bool | None]
) -> dict[str, str | int | float | bool | None]:
    for key, value in request.items():
        answer[_REQUEST_KEYS[key]] = value
    return answer


_REQUEST_KEYS: Final = {
    key: f"request.{key}"
    for key in (
        "action",
        "symbol",
        "volume",
        "type",
        "position",
        "price",
        "deviation",
        "magic",
        "comment",
        "type_time",
        "type_filling",
        "order",
    )
}
