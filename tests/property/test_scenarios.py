from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest

from engine.prices import SCENARIOS, PricePath, scenario

SEEDS = range(15)
NINE_UTC_MS = 1_421_312_400_000
ANNOUNCED_MS = NINE_UTC_MS + 30 * 60_000
MINUTE_MS = 60_000
CHECKSUMS = {
    "snb-2015": "21c83e8e5fbc8777131a900b4b51a7acf7960820a19c504797e7bafbb8f25f6e",
    "flash-crash": "cec89bf988bc66eaf2496c3c24ab783f2211423a47268e8339b646770d99ecec",
}


def checksum(path: PricePath) -> str:
    rows = zip(path.times_ms, path.bids, path.asks, strict=True)
    return hashlib.sha256("\n".join(f"{t} {b!r} {a!r}" for t, b, a in rows).encode()).hexdigest()


def spreads(path: PricePath) -> list[float]:
    return [ask - bid for bid, ask in zip(path.bids, path.asks, strict=True)]


@pytest.fixture(scope="module")
def snb() -> list[PricePath]:
    return [scenario("snb-2015").generate(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def flash() -> list[PricePath]:
    return [scenario("flash-crash").generate(seed) for seed in SEEDS]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_seed_gives_the_same_ticks_everywhere(name: str) -> None:
    assert checksum(scenario(name).generate(1)) == CHECKSUMS[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_seeds_differ_and_a_sign_counts(name: str) -> None:
    generate: Callable[[int], PricePath] = scenario(name).generate
    assert len({checksum(generate(seed)) for seed in (-1, 0, 1, 2, 10**30)}) == 5


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_tick_can_be_traded(name: str) -> None:
    for seed in SEEDS:
        path = scenario(name).generate(seed)
        assert 3000 <= len(path) <= 8000
        assert path.symbol == scenario(name).symbol
        assert path.source == f"{name}, seed {seed}"
        assert min(path.bids) > 0
        assert min(spreads(path)) >= 0
        assert all(before <= after for before, after in pairwise(path.times_ms))
        quotes = [path.tick(i) for i in range(len(path))]
        assert all(a.bid != b.bid or a.ask != b.ask for a, b in pairwise(quotes))
        assert all(price == round(price, path.digits) for price in (*path.bids, *path.asks))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_describe_themselves(name: str) -> None:
    told = SCENARIOS[name]
    assert told.name == name
    assert 20 <= len(told.description) <= 100
    assert "\n" not in told.description
    assert pickle.loads(pickle.dumps(told)) == told


def test_an_unknown_scenario_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"scenario='snb' is unknown; .*snb-2015, flash-crash"):
        scenario("snb")


def test_a_seed_is_an_integer() -> None:
    for seed in (1.5, True, "1", None):
        with pytest.raises(ValueError, match=r"seed=.* is not an integer"):
            scenario("snb-2015").generate(seed)  # type: ignore[arg-type]


def test_snb_is_calm_until_the_announcement(snb: list[PricePath]) -> None:
    for path in snb:
        calm = [i for i, at in enumerate(path.times_ms) if at < ANNOUNCED_MS]
        assert path.times_ms[0] == NINE_UTC_MS
        assert min(path.bids[i] for i in calm) >= 1.2009
        assert max(path.asks[i] for i in calm) <= 1.2012
        assert median(spreads(path)[: len(calm)]) <= 0.0001


def test_snb_falls_to_about_085_within_twenty_minutes(snb: list[PricePath]) -> None:
    for path in snb:
        low = path.lowest()
        assert 0.84 <= path.bids[low] <= 0.87
        assert 15 * MINUTE_MS <= path.times_ms[low] - ANNOUNCED_MS <= 20 * MINUTE_MS


def test_snb_has_gaps_of_several_per_cent(snb: list[PricePath]) -> None:
    for path in snb:
        falls = [1 - after / before for before, after in pairwise(path.bids)]
        assert 0.03 <= max(falls) <= 0.12
        assert sum(fall > 0.015 for fall in falls) >= 3


def test_snb_loses_its_liquidity(snb: list[PricePath]) -> None:
    for path in snb:
        fall = spreads(path)[path.index_at(ANNOUNCED_MS + MINUTE_MS) : path.lowest()]
        assert max(fall) >= 0.04
        assert median(fall) >= 0.01


def test_snb_is_back_above_103_that_morning(snb: list[PricePath]) -> None:
    for path in snb:
        assert path.bids[-1] > 1.03
        assert 179 * MINUTE_MS < path.times_ms[-1] - NINE_UTC_MS <= 180 * MINUTE_MS


def test_snb_bounces_on_the_way_down(snb: list[PricePath]) -> None:
    for path in snb:
        fall = list(path.bids[path.index_at(ANNOUNCED_MS) : path.lowest()])
        trough, bounce = fall[0], 0.0
        for bid in fall:
            trough = min(trough, bid)
            bounce = max(bounce, bid / trough - 1)
        assert bounce > 0.015


def test_flash_crash_falls_nine_per_cent_in_ten_minutes(flash: list[PricePath]) -> None:
    for path in flash:
        low = path.lowest()
        peak = max(path.bids[:low])
        assert 0.085 <= 1 - path.bids[low] / peak <= 0.105
        left = max(i for i in range(low) if path.bids[i] >= 0.99 * peak)
        assert 5 * MINUTE_MS <= path.times_ms[low] - path.times_ms[left] <= 11 * MINUTE_MS


def test_flash_crash_regains_most_within_half_an_hour(flash: list[PricePath]) -> None:
    for path in flash:
        low = path.lowest()
        peak = max(path.bids[:low])
        later = path.index_at(path.times_ms[low] + 30 * MINUTE_MS)
        assert path.bids[later] - path.bids[low] > 0.6 * (peak - path.bids[low])
        assert path.bids[-1] < peak


def test_flash_crash_spreads_widen_tenfold_at_the_bottom(flash: list[PricePath]) -> None:
    for path in flash:
        calm = median(spreads(path)[: path.index_at(path.times_ms[0] + 15 * MINUTE_MS)])
        low = path.lowest()
        assert calm < 1.0
        assert median(spreads(path)[low - 20 : low + 20]) >= 10 * calm
