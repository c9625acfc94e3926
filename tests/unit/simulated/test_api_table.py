"""The surface against the package's table, name by name and in order."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import engine.simulated
from engine.simulated import numbers
from engine.simulated.api_table import CONSTANTS, STRUCTS, Struct, Tick
from engine.simulated.numbers import RETCODE_TEXTS, Retcode
from engine.simulated.requests import Request
from tests.unit.simulated.arranging import opened, terminal

TABLE: dict[str, Any] = json.loads(
    (Path(engine.simulated.__file__).parent / "api-5.0.6231.json").read_text(encoding="utf-8")
)


def test_the_table_is_whole() -> None:
    assert len(TABLE["constants"]) == 223
    assert len(TABLE["functions"]) == 32
    assert len(TABLE["structs"]) == 11


def test_every_constant_is_an_attribute_of_the_terminal() -> None:
    mt5 = terminal()
    found = {name: getattr(mt5, name, None) for name in TABLE["constants"]}
    assert found == TABLE["constants"]
    assert list(CONSTANTS) == list(TABLE["constants"])


def test_every_function_can_be_called_on_the_terminal() -> None:
    mt5 = terminal()
    assert [name for name in TABLE["functions"] if not callable(getattr(mt5, name, None))] == []
    assert all(callable(getattr(mt5, name)) for name in ("Buy", "Sell", "Close"))


@pytest.mark.parametrize("name", TABLE["structs"])
def test_every_struct_has_the_fields_of_the_table_in_order(name: str) -> None:
    fields = TABLE["structs"][name]
    struct = STRUCTS[name](range(len(fields)))
    assert list(struct._asdict()) == fields
    assert [getattr(struct, field) for field in fields] == list(range(len(fields)))
    assert list(STRUCTS) == list(TABLE["structs"])
    assert getattr(terminal(), name) is STRUCTS[name]


def test_what_the_functions_return_has_as_many_fields_as_its_struct() -> None:
    mt5 = terminal()
    ticket = opened(mt5)
    mt5.order_send(
        {"action": 5, "symbol": "EURUSD", "volume": 0.1, "type": 2, "price": 1.0, "type_filling": 2}
    )
    answer = mt5.order_send({"action": 6, "symbol": "EURUSD", "position": ticket, "sl": 1.0})
    check = mt5.order_check({"action": 1, "symbol": "EURUSD", "volume": 0.1})
    assert answer is not None
    assert check is not None
    structs: list[Struct | None] = [
        answer,
        answer.request,
        check,
        check.request,
        mt5.account_info(),
        mt5.terminal_info(),
        mt5.symbol_info("EURUSD"),
        mt5.symbol_info_tick("EURUSD"),
        *(mt5.positions_get() or ()),
        *(mt5.orders_get() or ()),
        *(mt5.history_deals_get(0, 2**31) or ()),
        *(mt5.history_orders_get(0, 2**31) or ()),
    ]
    assert len(structs) == 13
    for struct in structs:
        assert struct is not None
        assert len(struct) == len(TABLE["structs"][type(struct).__name__])


def test_whole_numbers_and_text_of_a_symbol_have_their_types() -> None:
    info = terminal().symbol_info("EURUSD")
    assert info is not None
    assert (type(info.digits), type(info.filling_mode), type(info.trade_mode)) == (int, int, int)
    assert (type(info.volume_min), type(info.swap_long), type(info.basis)) == (float, float, str)
    assert info.custom is False


def test_structs_behave_as_struct_sequences() -> None:
    tick = Tick((1, 1.1, 1.2, 0.0, 0, 1_000, 6, 0.0))
    assert tick[1] == tick.bid == 1.1
    assert isinstance(tick, tuple)
    assert not hasattr(tick, "_fields")
    assert repr(tick).startswith("Tick(time=1, bid=1.1, ask=1.2")
    with pytest.raises(AttributeError):
        tick.bid = 2.0  # type: ignore[attr-defined]
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"cannot pickle 'Tick'.*_asdict"):
            refused(tick)


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [
        ("TRADE_ACTION_", numbers.Action),
        ("ORDER_TYPE_", numbers.OrderType),
        ("ORDER_STATE_", numbers.OrderState),
        ("ORDER_FILLING_", numbers.Filling),
        ("ORDER_TIME_", numbers.OrderTime),
        ("DEAL_ENTRY_", numbers.Entry),
        ("DEAL_REASON_", numbers.Reason),
        ("SYMBOL_CALC_MODE_", numbers.CalcMode),
        ("SYMBOL_TRADE_EXECUTION_", numbers.Execution),
        ("SYMBOL_SWAP_MODE_", numbers.SwapMode),
        ("ACCOUNT_STOPOUT_MODE_", numbers.StopOutMode),
        ("ACCOUNT_TRADE_MODE_", numbers.AccountKind),
    ],
)
def test_enumerations_repeat_the_table(prefix: str, enum: Any) -> None:
    assert {member.name: int(member) for member in enum} == {
        member.name: CONSTANTS[prefix + member.name] for member in enum
    }


def test_return_codes_repeat_the_table_and_have_texts() -> None:
    named = {code.name: int(code) for code in Retcode if code is not Retcode.HEDGE_PROHIBITED}
    assert named == {
        name.removeprefix("TRADE_RETCODE_"): value
        for name, value in CONSTANTS.items()
        if name.startswith("TRADE_RETCODE_")
    }
    assert set(RETCODE_TEXTS) == {0, *Retcode}


def test_trade_and_margin_modes_repeat_the_table() -> None:
    trade_modes = {mode.name.replace("_", ""): int(mode) for mode in numbers.TradeMode}
    assert trade_modes == {
        name.removeprefix("SYMBOL_TRADE_MODE_"): value
        for name, value in CONSTANTS.items()
        if name.startswith("SYMBOL_TRADE_MODE_")
    }
    assert int(numbers.MarginMode.NETTING) == CONSTANTS["ACCOUNT_MARGIN_MODE_RETAIL_NETTING"]
    assert int(numbers.MarginMode.HEDGING) == CONSTANTS["ACCOUNT_MARGIN_MODE_RETAIL_HEDGING"]


def test_errors_of_the_binding_have_texts() -> None:
    codes = {value for name, value in CONSTANTS.items() if name.startswith("RES_")}
    assert codes == set(numbers.ERROR_TEXTS)


def test_requests_have_the_fields_of_the_table() -> None:
    assert list(Request._fields) == TABLE["structs"]["TradeRequest"]
