"""A market told in legs: each takes the bid from where it stands to a level, in its own manner.

A leg is a random walk pinned at both ends that runs in *activity time*: activity comes in bursts,
and both the walk and the way to the leg's level happen mostly inside them, which is how markets
fall. Beside it a leg may have *air pockets*, a silence and then a single tick that takes a stated
share of the way, and *flicker*, lone quotes below the others that the next one takes back.

Only ``random.Random.random()``, the four operations, comparisons and square roots are used. All
are exact on every platform and Python, so a seed always gives the same ticks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from random import Random

_BURST_CHANCE = 0.02
_BURST_DECAY = 0.95
_HIGHEST_ACTIVITY = 7.0
_SILENCE = (4.0, 12.0)
"""Silence before an air pocket, in typical gaps between ticks."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the story. Prices are bids; ``spread`` is a price difference."""

    seconds: float
    level: float
    """Bid of the leg's last tick."""
    gap_s: float
    """Average time between ticks."""
    noise: float
    """Standard deviation of the walk at its freest, as a fraction of the price."""
    spread: float
    """Typical spread at the leg's end; it starts from the leg's before."""
    floor: float
    """No bid of the leg is below it."""
    ceiling: float
    """No bid of the leg is above it."""
    bursts: float = 0.0
    """How violent bursts of activity are: 0 none, 1 strong."""
    pockets: tuple[float, ...] = ()
    """Shares of the way to the level that one tick each takes."""
    flicker: float = 0.0
    """How far lone quotes stand below the rest, in spreads."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where and when the story begins."""

    time_ms: int
    bid: float
    spread: float


def gaussian(rng: Random) -> float:
    """Draw from a near-normal distribution: mean 0, variance 1, within ±6.

    The sum of twelve uniform draws: unlike ``random.gauss`` it needs no logarithm, whose last
    bit differs between platforms.
    """
    total = -6.0
    for _ in range(12):
        total += rng.random()
    return total


def between(rng: Random, low: float, high: float) -> float:
    """Draw uniformly from ``[low, high)``."""
    return low + (high - low) * rng.random()


def tell(
    rng: Random, opening: Opening, legs: Sequence[Leg], digits: int
) -> tuple[array[int], array[float], array[float]]:
    """Walk the legs one after the other.

    A tick that changes neither bid nor ask is left out, as a feed leaves it out.

    Args:
        rng: Source of all randomness.
        opening: First quote.
        legs: The story, in order.
        digits: Decimals of the prices.

    Returns:
        Times in ms since 1970 (never running backwards), bids and asks of the same length.
    """
    times = array("q", [opening.time_ms])
    bids = array("d", [round(opening.bid, digits)])
    asks = array("d", [round(opening.bid + opening.spread, digits)])
    point = 1 / 10**digits
    starts_s = 0.0
    bid, spread = opening.bid, opening.spread
    for leg in legs:
        for after_s, quote_bid, quote_spread in _walk(rng, leg, bid, spread):
            shown_bid = round(quote_bid, digits)
            shown_ask = round(shown_bid + max(point, quote_spread), digits)
            if shown_bid != bids[-1] or shown_ask != asks[-1]:
                times.append(opening.time_ms + int((starts_s + after_s) * 1000))
                bids.append(shown_bid)
                asks.append(shown_ask)
        starts_s += leg.seconds
        bid, spread = leg.level, leg.spread
    return times, bids, asks


def _walk(
    rng: Random, leg: Leg, start: float, start_spread: float
) -> list[tuple[float, float, float]]:
    """Walk one leg: seconds after its start, bid and spread of every tick."""
    count = max(2 + 2 * len(leg.pockets), round(leg.seconds / leg.gap_s))
    activity = _activity(rng, leg.bursts, count)
    pockets = _places(rng, leg.pockets, count)
    offsets = _offsets(rng, leg.seconds, count, pockets)
    energy = sum(a * a for a in activity)
    scale = leg.noise * start / sqrt(energy)
    steps = [scale * a * gaussian(rng) for a in activity]
    # What the pockets leave of the way, and what brings the walk back to its pinned end.
    rest = (leg.level - start) * (1 - sum(leg.pockets)) - sum(steps)
    bustle = sum(activity)

    ticks: list[tuple[float, float, float]] = []
    bid = start
    echo = 0.0
    for i in range(count):
        moved = steps[i] + rest * activity[i] / bustle
        share = pockets.get(i, 0.0)
        moved += share * (leg.level - start)
        bid += moved
        along = (i + 1) / count
        usual = start_spread + (leg.spread - start_spread) * along
        # Liquidity is slow to return: a large move keeps the spread wide for a while.
        echo = max(0.96 * echo, 0.8 * abs(moved) if share else 0.0)
        unrest = 0.6 + 0.15 * activity[i] + 0.5 * rng.random()
        spread = usual * unrest + echo
        lone = leg.flicker * spread * rng.random() if rng.random() < 0.15 else 0.0
        ticks.append((offsets[i], _within(bid - lone, leg.floor, leg.ceiling), spread))
    after_s, _, spread = ticks[-1]
    ticks[-1] = (after_s, leg.level, spread)
    return ticks


def _activity(rng: Random, bursts: float, count: int) -> list[float]:
    """Draw how busy each tick is: 1 when nothing is going on, more in and after a burst."""
    activity: list[float] = []
    extra = 0.0
    for _ in range(count):
        extra *= _BURST_DECAY
        if rng.random() < _BURST_CHANCE:
            luck = rng.random()
            extra += bursts * 2 * luck / (1.1 - luck)
        extra = min(extra, _HIGHEST_ACTIVITY)
        activity.append(1 + extra)
    return activity


def _places(rng: Random, shares: Sequence[float], count: int) -> dict[int, float]:
    """Give every air pocket a tick of its own, never the first or the last one."""
    places: dict[int, float] = {}
    for share in shares:
        place = 1 + int(rng.random() * (count - 2))
        while place in places:
            place = 1 + place % (count - 2)
        places[place] = share
    return places


def _offsets(rng: Random, seconds: float, count: int, pockets: dict[int, float]) -> list[float]:
    """Draw the ticks' times: irregular, with a silence before every air pocket."""
    passed = [0.0]
    for i in range(count):
        luck = rng.random()
        wait = 0.1 + luck / (1.2 - luck)
        if i in pockets:
            wait += between(rng, *_SILENCE)
        passed.append(passed[-1] + wait)
    pace = seconds / passed[-1]
    return [pace * (before + 0.999 * (after - before)) for before, after in pairwise(passed)]


def _within(bid: float, floor: float, ceiling: float) -> float:
    """Reflect a bid that ran past a bound; a second crossing ends at the bound."""
    if bid < floor:
        bid = 2 * floor - bid
    elif bid > ceiling:
        bid = 2 * ceiling - bid
    return min(max(bid, floor), ceiling)
