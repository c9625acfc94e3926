"""From a specification to a broker, and what is said when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import load_broker, open_broker
from engine.brokers.mt5 import MT5Broker
from engine.errors import BrokerUnavailable
from tests.unit.brokers.scripted_terminal import ScriptedTerminal

HERE = "tests.unit.brokers.own_brokers"


def test_a_factory_gets_the_user_and_the_options() -> None:
    broker = load_broker(f"{HERE}:good", "anna", {"login": 9})
    assert repr(broker) == "MT5Broker(login=9, server='anna', path=None)"
    assert isinstance(load_broker(f"{HERE}:House.open", "anna", {}), MT5Broker)


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        (HERE, {}, "must look like"),
        (":good", {}, "must look like"),
        ("no.such.place:good", {}, "no module 'no'.*PYTHONPATH"),
        (f"{HERE}.deeper:good", {}, "no module"),
        (f"{HERE}:absent", {}, f"{HERE} has no absent"),
        (f"{HERE}:NOT_CALLABLE", {}, "is a int; it must be callable"),
        (f"{HERE}:good", {"colour": 1}, r"does not take these options.*\['colour'\].*login"),
        (f"{HERE}:incomplete", {}, "returned a Half, which lacks disconnect, account, positions"),
        (f"{HERE}:asynchronous", {}, "is an async function"),
    ],
)
def test_what_is_wrong_with_a_reference(
    reference: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_broker(reference, "anna", options)
    assert repr(reference) in str(caught.value)


def test_errors_from_inside_pass_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="a bug inside, for anna"):
        load_broker(f"{HERE}:raises", "anna", {})
    (tmp_path / "needs_another.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        load_broker("needs_another:open", "anna", {})


def test_a_specification_opens_ones_own_broker() -> None:
    spec = AccountSpec(user_id="anna", broker=f"{HERE}:good", options={"login": 3})
    assert repr(open_broker(spec)).startswith("MT5Broker(login=3")


def test_the_native_terminal_is_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MetaTrader5", ScriptedTerminal())
    monkeypatch.setenv("PW_OF_ANNA", "correct-horse")
    broker = open_broker(
        AccountSpec(user_id="anna", terminal="mt5", login=5, server="V", password_env="PW_OF_ANNA")
    )
    assert repr(broker) == "MT5Broker(login=5, server='V', path=None)"


def test_without_the_package_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MetaTrader5", None)
    with pytest.raises(BrokerUnavailable, match=r"Windows only.*(mt5linux|pip install)"):
        open_broker(AccountSpec(user_id="anna", terminal="mt5", login=5))


def test_a_missing_password_is_told_before_anything_is_opened() -> None:
    spec = AccountSpec(user_id="a", terminal="mt5linux", login=5, password_env="NOT_SET_ANYWHERE")
    with pytest.raises(ValueError, match="NOT_SET_ANYWHERE"):
        open_broker(spec)
