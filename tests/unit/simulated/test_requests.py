"""Types and ranges of a request's fields, as strict as the binding."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest

from engine.simulated.requests import InvalidArgument, Request, parse_request
from tests.unit.simulated.arranging import BUY, request, terminal


class Own(IntEnum):
    ONE = 1


class Float64(float):
    """Stands for ``numpy.float64``, which is a ``float``."""


class Int64:
    """Stands for ``numpy.int64``, which is no ``int``."""

    def __index__(self) -> int:
        return 1


FLOATS = ("volume", "price", "stoplimit", "sl", "tp")
INTEGERS = (
    "action",
    "magic",
    "order",
    "deviation",
    "type",
    "type_filling",
    "type_time",
    "expiration",
    "position",
    "position_by",
)


def test_missing_keys_are_zero_or_empty() -> None:
    assert parse_request({}) == Request()
    assert Request().type == 0
    assert Request().type_filling == 0


def test_unknown_keys_are_ignored() -> None:
    assert parse_request({"Volume": "x", 7: None, None: 1, "magic": 5}) == Request(magic=5)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", [1, True, "0.1", None, Int64(), [0.1]])
def test_prices_and_volumes_must_be_floats(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name}$"):
        parse_request({name: value})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", [1.0, True, "1", None, Int64(), -1, 2**64])
def test_numbers_must_be_integers_in_range(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name}$"):
        parse_request({name: value})


@pytest.mark.parametrize("name", ["symbol", "comment"])
@pytest.mark.parametrize("value", [None, 1, b"EURUSD"])
def test_texts_must_be_strings(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name}$"):
        parse_request({name: value})


def test_subclasses_of_the_right_type_pass() -> None:
    parsed = parse_request({"action": Own.ONE, "volume": Float64(0.1), "magic": 2**64 - 1})
    assert (parsed.action, parsed.volume, parsed.magic) == (1, 0.1, 2**64 - 1)


def test_comments_have_29_characters_at_most() -> None:
    assert parse_request({"comment": "x" * 29}).comment == "x" * 29
    with pytest.raises(InvalidArgument, match="comment"):
        parse_request({"comment": "x" * 30})


@pytest.mark.parametrize("data", [None, [], "x", 5, [("action", 1)]])
def test_a_request_is_a_dict(data: object) -> None:
    with pytest.raises(InvalidArgument, match="request"):
        parse_request(data)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"volume": 1}, "volume"), ({"type": 0.0}, "type"), ({"comment": None}, "comment")],
)
def test_the_terminal_answers_none_and_names_the_argument(
    change: dict[str, Any], name: str
) -> None:
    mt5 = terminal()
    for call in (mt5.order_send, mt5.order_check):
        assert call(request(BUY) | change) is None
        assert mt5.last_error() == (-2, f'Invalid "{name}" argument')
    assert len(mt5.book.deals) == 1


def test_a_request_without_a_dict_is_named_request() -> None:
    mt5 = terminal()
    assert mt5.order_send() is None
    assert mt5.last_error() == (-2, 'Invalid "request" argument')


def test_the_answer_repeats_the_request() -> None:
    mt5 = terminal()
    answer = mt5.order_send(request(BUY, 0.2, magic=7, comment="hello", other="ignored"))
    assert answer is not None
    sent = answer.request._asdict()
    assert {name: value for name, value in sent.items() if value} == {
        "action": 1,
        "symbol": "EURUSD",
        "volume": 0.2,
        "magic": 7,
        "comment": "hello",
    }
