"""An account's specification: exactly one way to its broker, and nothing that does not belong."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.brokers.account_spec import AccountSpec

OWN = {"user_id": "anna", "broker": "house.broker:open"}
NATIVE = {"user_id": "anna", "terminal": "mt5", "login": 5001}
BRIDGE = {"user_id": "anna", "terminal": "mt5linux", "login": 5001}


@pytest.mark.parametrize(
    "fields",
    [
        OWN,
        {**OWN, "options": {"url": "https://venue.example"}},
        NATIVE,
        {**NATIVE, "server": "V", "path": "C:/mt5/terminal64.exe", "password_env": "PW"},
        BRIDGE,
        {**BRIDGE, "host": "10.0.0.5", "port": 18813, "password_file": "/run/pw"},
        {**BRIDGE, "allow_live": True, "magic": 7, "deviation": 0, "timeout_s": 2},
    ],
)
def test_good_specifications_are_taken_from_code_and_from_files(fields: dict[str, Any]) -> None:
    spec = AccountSpec(**fields)
    assert TypeAdapter(AccountSpec).validate_python(fields) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


BAD: list[tuple[dict[str, Any], str]] = [
    ({**OWN, "user_id": ""}, "user_id=''"),
    ({**OWN, "user_id": "  "}, "user_id="),
    ({"user_id": "anna"}, "exactly one"),
    ({**OWN, "terminal": "mt5"}, "exactly one"),
    ({"user_id": "anna", "broker": "house.broker"}, r"package\.module:factory"),
    ({"user_id": "anna", "broker": ":open"}, r"package\.module:factory"),
    ({"user_id": "anna", "broker": "house:"}, r"package\.module:factory"),
    ({**OWN, "login": 3}, "login=3.*its options"),
    ({**OWN, "host": "h"}, "host='h'"),
    ({**OWN, "password_env": "PW"}, "password_env='PW'"),
    ({**NATIVE, "options": {"a": 1}}, "options of account 'anna'"),
    ({**NATIVE, "login": None}, "login=None"),
    ({**NATIVE, "login": 0}, "login=0"),
    ({**NATIVE, "host": "localhost"}, "host='localhost'.*mt5linux"),
    ({**NATIVE, "port": 18812}, "port=18812.*mt5linux"),
    ({**BRIDGE, "host": " "}, "host=' '"),
    ({**BRIDGE, "port": 0}, "port=0"),
    ({**BRIDGE, "port": 65536}, "port=65536"),
    ({**BRIDGE, "password_env": "A", "password_file": "b"}, "password_file='b'.*password_env"),
    ({**BRIDGE, "timeout_s": 0}, "timeout_s=0"),
    ({**BRIDGE, "timeout_s": float("nan")}, "timeout_s=nan"),
    ({**BRIDGE, "timeout_s": float("inf")}, "timeout_s=inf"),
    ({**BRIDGE, "magic": -1}, "magic=-1"),
    ({**BRIDGE, "deviation": -5}, "deviation=-5"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_bad_ones_are_refused_by_field_and_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AccountSpec(**fields)
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(AccountSpec).validate_python(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": 5}, "user_id=5"),
        ({"terminal": "mt4"}, "terminal='mt4'.*'mt5', 'mt5linux'"),
        ({"login": "5001"}, "login='5001'"),
        ({"login": True}, "login=True"),
        ({"port": True}, "port=True"),
        ({"magic": 1.5}, "magic=1.5"),
        ({"timeout_s": "60"}, "timeout_s='60'"),
        ({"allow_live": "yes"}, "allow_live='yes'"),
    ],
)
def test_wrong_types_from_code_are_refused_too(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {**BRIDGE, **change}
    with pytest.raises(ValueError, match=message):
        AccountSpec(**fields)


def test_options_may_hold_secrets_and_are_not_shown() -> None:
    spec = AccountSpec(user_id="anna", broker="m:f", options={"token": "correct-horse"})
    assert "correct-horse" not in repr(spec)
    with pytest.raises(ValueError, match="options") as caught:
        AccountSpec(user_id="a", terminal="mt5", login=1, options={"token": "correct-horse"})
    assert "correct-horse" not in str(caught.value)


def test_from_a_file_a_misspelt_field_is_an_error_that_shows_no_values() -> None:
    fields = {**OWN, "options": {"token": "correct-horse"}, "allow_lives": True}
    with pytest.raises(ValidationError, match="allow_lives") as caught:
        TypeAdapter(AccountSpec).validate_python(fields)
    assert "correct-horse" not in str(caught.value)


def test_the_documented_specifications_are_good() -> None:
    page = Path(__file__).parents[3] / "docs" / "mt5.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(page), "exec", dont_inherit=True), {})
