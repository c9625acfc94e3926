from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.stress.chaos import engine_settings
from actors.stress.chaos_plan import LATEST_KILL, ChaosPlan, Target
from actors.stress.options import StressOptions
from actors.stress.plan import make_plan
from actors.stress.venue import venue_plan
from engine.config import EngineConfig


def test_a_plan_names_kills_seed_and_targets() -> None:
    assert ChaosPlan.parse("kills=20,seed=7") == ChaosPlan(20, 7)
    assert ChaosPlan.parse(" seed=7, kills=3 , targets=audit,account") == ChaosPlan(
        3, 7, (Target.ACCOUNT, Target.AUDIT)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "NAME=VALUE"),
        ("20", "'20'"),
        ("kills=20", "lacks seed="),
        ("seed=1", "lacks kills="),
        ("kills=0,seed=1", "kills='0'"),
        ("kills=-1,seed=1", "kills='-1'"),
        ("kills=many,seed=1", "kills='many'"),
        ("kills=1,seed=1.5", "seed='1.5'"),
        ("kills=1,kills=2,seed=1", "'kills' twice"),
        ("kills=1,seed=1,speed=3", "'speed' is unknown"),
        ("kills=1,seed=1,targets=", "target '' is unknown; there are account, supervisor, audit"),
        ("kills=1,seed=1,targets=account,venue", "target 'venue'"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="chaos=") as error:
        ChaosPlan.parse(text)
    assert said in str(error.value)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("kills=20,seed=1", {"account": 10, "supervisor": 5, "audit": 5}),
        ("kills=21,seed=1", {"account": 11, "supervisor": 5, "audit": 5}),
        ("kills=4,seed=1", {"account": 2, "supervisor": 1, "audit": 1}),
        ("kills=3,seed=1,targets=account", {"account": 3}),
        ("kills=3,seed=1,targets=supervisor,audit", {"supervisor": 2, "audit": 1}),
    ],
)
def test_half_of_the_kills_are_accounts_and_the_rest_is_even(
    text: str, counts: dict[str, int]
) -> None:
    assert Counter(ChaosPlan.parse(text).deck()) == Counter(counts)


def test_the_seed_decides_order_and_moments() -> None:
    one, same, other = (ChaosPlan(20, seed) for seed in (1, 1, 2))
    assert (one.deck(), one.moments()) == (same.deck(), same.moments())
    assert one.deck() != other.deck()
    assert one.moments() != other.moments()


def test_moments_come_in_order_and_leave_work_for_the_last() -> None:
    moments = ChaosPlan(50, 3).moments()
    assert moments == sorted(moments)
    assert 0 <= moments[0] < moments[-1] <= LATEST_KILL


CHAOS: dict[str, Any] = {"venue": "external", "chaos": "kills=2,seed=1"}


def test_chaos_triggers_everyone() -> None:
    assert StressOptions(**CHAOS).trigger == "all"
    assert StressOptions(**CHAOS, trigger=None).trigger == "all"  # type: ignore[arg-type]
    assert StressOptions().trigger == "guards"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"chaos": "kills=2,seed=1"}, ("venue='simulated'", "--venue external")),
        ({**CHAOS, "trigger": "guards"}, ("trigger='guards'", "leave --trigger out")),
        ({"settle_ms": 500}, ("settle_ms=500", "--chaos")),
        ({**CHAOS, "latency_ms": 500}, ("latency_ms=500", "--settle-ms to 1250")),
        ({"venue": "elsewhere"}, ("elsewhere", "external")),
        ({**CHAOS, "settle_ms": 0}, ("settle_ms",)),
    ],
)
def test_combinations_that_make_no_sense_are_refused(
    given: dict[str, Any], said: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as error:
        StressOptions(**given)
    for words in said:
        assert words in str(error.value)


@pytest.mark.parametrize("settle_ms", [50.0, 1_000.0, 60_000.0])
def test_the_venue_is_done_within_the_settle_window(settle_ms: float) -> None:
    options = StressOptions(
        **CHAOS, settle_ms=settle_ms, latency_ms=0.2 * settle_ms, accounts=1, positions=1
    )
    behaviour = venue_plan(make_plan(options)).behaviour
    assert behaviour.execution_delay_ms[1] == pytest.approx(0.8 * settle_ms)
    assert behaviour.latency_ms + behaviour.late_ms <= 0.8 * settle_ms * (1 + 1e-12)
    assert behaviour.rate_late > 0
    assert behaviour.rate_lost_answers > 0


def test_the_engine_waits_as_long_as_the_venue_may_take(tmp_path: Path) -> None:
    settings = engine_settings(StressOptions(**CHAOS, settle_ms=2_000))
    config = EngineConfig(data_dir=tmp_path, **settings)
    assert config.settle_window_s == 2.0
    assert config.send_deadline_s > 2.0
    assert engine_settings(StressOptions()) == {}


def test_a_venue_without_chaos_does_nothing_to_requests() -> None:
    plan = venue_plan(make_plan(StressOptions(venue="external", accounts=1, positions=2)))
    behaviour = plan.behaviour
    assert behaviour.execution_delay_ms == (0.0, 0.0)
    assert behaviour.rate_late == behaviour.rate_lost_answers == 0
