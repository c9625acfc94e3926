"""EUR/CHF on 15 January 2015, the day the Swiss National Bank gave up its floor.

Facts this model keeps to:

* The SNB had held a minimum rate of 1.20 francs per euro since September 2011; that morning the
  market stood just above it, about a pip wide.
* At 09:30 UTC the bank announced that it discontinued the minimum rate.
* The rate fell without a market: quotes near 0.85 within about 20 minutes, spreads of hundreds
  of pips, moves of several per cent from one quote to the next.
* The same morning it was back above 1.03.

Everything between these points (each single tick, the bounces on the way down, the exact spread)
is drawn from the seed. It is a model of that market, no record of it.
"""

from __future__ import annotations

from random import Random

from engine.prices.scenarios.legs import Leg, Opening, between
from engine.prices.scenarios.story import Scenario

_NINE_UTC_MS = 1_421_312_400_000
"""2015-01-15 09:00:00 UTC."""
_MORNING_S = 3 * 3600.0
_CALM_S = 1800.0
"""From 09:00 to the announcement."""
_PIP = 0.0001
_CALM_FLOOR = 1.20092
_CALM_CEILING = 1.20106


def _draw(rng: Random) -> tuple[Opening, tuple[Leg, ...]]:
    """Draw the morning: calm, the fall with its bounces, the low, the way back."""
    fall = _draw_fall(rng)
    recovery = _draw_recovery(rng, low=fall[-1].level)
    told_s = sum(leg.seconds for leg in fall + recovery)
    calm = Leg(
        seconds=_CALM_S,
        level=between(rng, 1.20095, 1.20104),
        gap_s=1.2,
        noise=0.00003,
        spread=0.6 * _PIP,
        floor=_CALM_FLOOR,
        ceiling=_CALM_CEILING,
        bursts=0.3,
    )
    settled = Leg(
        seconds=_MORNING_S - _CALM_S - told_s,
        level=between(rng, 1.034, 1.048),
        gap_s=3.0,
        noise=0.025,
        spread=25 * _PIP,
        floor=1.005,
        ceiling=1.075,
        bursts=0.7,
    )
    opening = Opening(_NINE_UTC_MS, between(rng, 1.20095, 1.20104), 0.6 * _PIP)
    return opening, (calm, *fall, *recovery, settled)


def _draw_fall(rng: Random) -> tuple[Leg, ...]:
    """Draw 09:30 to the low, 17 to 19.5 minutes later."""
    low = between(rng, 0.845, 0.86)
    first_stop = between(rng, 1.10, 1.13)
    first_bounce = first_stop + between(rng, 0.015, 0.035)
    second_stop = between(rng, 0.98, 1.01)
    second_bounce = second_stop + between(rng, 0.02, 0.045)
    disbelief = Leg(
        seconds=between(rng, 3, 9),
        level=1.2001,
        gap_s=0.4,
        noise=0.0001,
        spread=5 * _PIP,
        floor=1.1995,
        ceiling=_CALM_CEILING,
    )
    floor_gone = Leg(
        seconds=between(rng, 40, 70),
        level=between(rng, 1.165, 1.18),
        gap_s=0.5,
        noise=0.006,
        spread=60 * _PIP,
        floor=1.14,
        ceiling=1.2001,
        bursts=0.8,
        pockets=(0.4,),
        flicker=0.5,
    )
    stops_run = Leg(
        seconds=between(rng, 150, 200),
        level=first_stop,
        gap_s=0.8,
        noise=0.014,
        spread=160 * _PIP,
        floor=first_stop - 0.02,
        ceiling=1.195,
        bursts=1.0,
        pockets=(0.35, 0.2),
        flicker=0.5,
    )
    hope = Leg(
        seconds=between(rng, 60, 120),
        level=first_bounce,
        gap_s=1.0,
        noise=0.018,
        spread=140 * _PIP,
        floor=first_stop - 0.02,
        ceiling=first_bounce + 0.02,
        bursts=0.8,
        flicker=0.4,
    )
    liquidity_gone = Leg(
        seconds=between(rng, 210, 260),
        level=second_stop,
        gap_s=1.4,
        noise=0.024,
        spread=280 * _PIP,
        floor=second_stop - 0.02,
        ceiling=first_bounce + 0.02,
        bursts=1.0,
        pockets=(0.3, 0.2),
        flicker=0.5,
    )
    last_hope = Leg(
        seconds=between(rng, 70, 120),
        level=second_bounce,
        gap_s=1.2,
        noise=0.024,
        spread=220 * _PIP,
        floor=second_stop - 0.02,
        ceiling=second_bounce + 0.02,
        bursts=0.8,
        flicker=0.4,
    )
    before = (disbelief, floor_gone, stops_run, hope, liquidity_gone, last_hope)
    vacuum = Leg(
        seconds=60 * between(rng, 17, 19.5) - sum(leg.seconds for leg in before),
        level=low,
        gap_s=1.6,
        noise=0.028,
        spread=450 * _PIP,
        floor=low,
        ceiling=second_bounce + 0.02,
        bursts=1.0,
        pockets=(0.3, 0.22, 0.12),
        flicker=0.4,
    )
    return (*before, vacuum)


def _draw_recovery(rng: Random, low: float) -> tuple[Leg, ...]:
    """Draw the low to about 10:25: a snap back, then a market that finds its feet."""
    snapped = between(rng, 0.955, 0.985)
    overshoot = between(rng, 1.045, 1.062)
    snap = Leg(
        seconds=between(rng, 60, 120),
        level=snapped,
        gap_s=1.0,
        noise=0.024,
        spread=320 * _PIP,
        floor=low,
        ceiling=snapped + 0.02,
        bursts=1.0,
        pockets=(0.35,),
        flicker=0.3,
    )
    doubt = Leg(
        seconds=between(rng, 240, 420),
        level=snapped + between(rng, -0.01, 0.03),
        gap_s=1.5,
        noise=0.04,
        spread=180 * _PIP,
        floor=0.93,
        ceiling=1.04,
        bursts=1.0,
        flicker=0.3,
    )
    return_of_bids = Leg(
        seconds=between(rng, 900, 1300),
        level=overshoot,
        gap_s=1.8,
        noise=0.028,
        spread=60 * _PIP,
        floor=0.94,
        ceiling=overshoot + 0.015,
        bursts=1.0,
        pockets=(0.08,),
        flicker=0.2,
    )
    return snap, doubt, return_of_bids


SNB_2015 = Scenario(
    name="snb-2015",
    description="EUR/CHF, 15 January 2015: the 1.20 floor goes, 0.85 within 20 minutes, no bids",
    symbol="EURCHF",
    digits=5,
    draw=_draw,
)
"""The morning the Swiss National Bank gave up its floor, 09:00 to 12:00 UTC."""
