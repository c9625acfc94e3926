"""The plan of a venue, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.brokers.port import Side
from engine.prices import scenario
from engine.simulated.numbers import MarginMode
from engine.simulated.served import PriceSource, VenueBehaviour, VenuePlan
from tests.unit.simulated.served.arranging import LOGIN, account, plan


def test_a_plan_survives_its_file() -> None:
    whole = plan(
        account(),
        account(LOGIN + 1, netting=True, faults={"faults": [{"kind": "requote"}]}, positions=()),
        behaviour=VenueBehaviour(execution_delay_ms=(1, 2), seed=3),
        stand_at_ms=1_700_000_001_000,
        speed=2.0,
    )
    again = VenuePlan.from_json(whole.to_json())
    assert again == whole
    assert again.accounts[0].positions[0][0] is Side.LONG


def test_prices_are_rebuilt_from_the_scenario() -> None:
    path = PriceSource(scenario="snb-2015", seed=5).path()
    assert path.bids == scenario("snb-2015").generate(5).bids


def test_prices_are_read_from_a_file(tmp_path: Path) -> None:
    export = tmp_path / "EURUSD.csv"
    export.write_text(
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
        "2015.01.15\t09:30:00.000\t1.10000\t1.10010\t\t\t6\n"
    )
    path = PriceSource(file=str(export), symbol="EURUSD").path()
    assert (list(path.bids), list(path.asks)) == ([1.1], [1.1001])


def test_shocks_are_put_into_the_prices() -> None:
    ticks = ((0, 1.1, 1.2), (1_000, 1.1, 1.2))
    shock = {"kind": "gap", "at_ms": 1_000, "points": -1_000}
    path = PriceSource(symbol="EURUSD", ticks=ticks, shocks=(shock,)).path()
    assert list(path.bids) == [1.1, 1.09]


@pytest.mark.parametrize("given", [{}, {"scenario": "snb-2015", "file": "x", "symbol": "EURUSD"}])
def test_prices_have_exactly_one_source(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        PriceSource(**given)


def test_a_file_needs_its_symbol() -> None:
    with pytest.raises(ValueError, match="symbol=None"):
        PriceSource(file="prices.csv")


def test_accounts_must_be_told_apart() -> None:
    with pytest.raises(ValueError, match=f"login={LOGIN} stands for two accounts"):
        plan(account(), account())


def test_an_unknown_login_is_named() -> None:
    with pytest.raises(ValueError, match="login=5 is no account"):
        plan().account(5)


def test_a_misspelt_field_of_a_file_is_named() -> None:
    data = json.loads(plan().to_json())
    data["behaviour"]["rate_of_chaos"] = 1
    with pytest.raises(ValueError, match="rate_of_chaos"):
        VenuePlan.from_json(json.dumps(data))


def test_a_wrong_fault_is_told_with_its_account() -> None:
    with pytest.raises(ValueError, match=f"account {LOGIN}: faults\\[0\\]"):
        account(faults={"faults": [{"kind": "gremlins"}]}).fault_plan()


def test_settings_follow_the_plan() -> None:
    settings = account(netting=True, deposit=5.0, currency="EUR").settings()
    assert settings.margin_mode is MarginMode.NETTING
    assert (settings.deposit, settings.currency, settings.stop_out) == (5.0, "EUR", 0.0)


def test_behaviour_is_changed_by_field() -> None:
    assert plan().with_behaviour(rate_late=0.5).behaviour.rate_late == 0.5
