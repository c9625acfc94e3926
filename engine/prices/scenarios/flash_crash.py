"""A flash crash of an index: down about 9 % in ten minutes, mostly back within half an hour.

The shape is that of 6 May 2010 in the United States, as the staffs of the CFTC and the SEC
described it: a nervous afternoon, a slide that turned into a plunge within minutes as buyers
withdrew from the book, an index down about 9 % at its worst (the Dow Jones, from its level of
the previous day), a stop of five seconds in the futures market at the bottom, after which prices
turned, and most of the fall regained about 20 minutes later.

It is a model and claims no more: the whole 9 % lies within the ten minutes, the level (5,000) is
round, the day (Thursday 6 January 2000) is chosen to be mistaken for none, and every tick
is drawn from the seed. Spreads are those of a retail index CFD and widen by more than ten times.
"""

from __future__ import annotations

from random import Random

from engine.prices.scenarios.legs import Leg, Opening, between
from engine.prices.scenarios.story import Scenario

_OPENING_MS = 947_181_600_000
"""2000-01-06 18:00:00 UTC."""
_LEVEL = 5000.0
_SPREAD = 0.5
_TOLD_S = 90 * 60.0


def _draw(rng: Random) -> tuple[Opening, tuple[Leg, ...]]:
    """Draw an hour and a half: nerves, slide, plunge, halt, rebound, aftermath."""
    top = _LEVEL * between(rng, 0.994, 0.998)
    nerves = Leg(
        seconds=60 * between(rng, 18, 22),
        level=top,
        gap_s=1.0,
        noise=0.0032,
        spread=1.4 * _SPREAD,
        floor=0.995 * top,
        ceiling=1.002 * _LEVEL,
        bursts=0.5,
    )
    fall = _draw_fall(rng, top)
    rebound = _draw_rebound(rng, top, low=fall[-1].level)
    before = (nerves, *fall, *rebound)
    aftermath = Leg(
        seconds=_TOLD_S - sum(leg.seconds for leg in before),
        level=top * between(rng, 0.978, 0.988),
        gap_s=1.5,
        noise=0.0096,
        spread=2 * _SPREAD,
        floor=0.96 * top,
        ceiling=top,
        bursts=0.6,
    )
    return Opening(_OPENING_MS, _LEVEL, _SPREAD), (*before, aftermath)


def _draw_fall(rng: Random, top: float) -> tuple[Leg, ...]:
    """Draw the ten minutes from the last calm price to the low, the halt included."""
    low = top * between(rng, 0.906, 0.914)
    slid = top * between(rng, 0.968, 0.974)
    paused = slid * between(rng, 1.002, 1.005)
    gave_way = top * between(rng, 0.948, 0.955)
    slide = Leg(
        seconds=between(rng, 250, 300),
        level=slid,
        gap_s=0.5,
        noise=0.0048,
        spread=4 * _SPREAD,
        floor=0.995 * slid,
        ceiling=1.002 * top,
        bursts=0.7,
    )
    pause = Leg(
        seconds=between(rng, 40, 70),
        level=paused,
        gap_s=0.5,
        noise=0.0032,
        spread=4 * _SPREAD,
        floor=0.995 * slid,
        ceiling=1.004 * paused,
        bursts=0.5,
    )
    buyers_leave = Leg(
        seconds=between(rng, 130, 160),
        level=gave_way,
        gap_s=0.35,
        noise=0.0048,
        spread=9 * _SPREAD,
        floor=0.99 * gave_way,
        ceiling=1.004 * paused,
        bursts=0.9,
        pockets=(0.12,),
        flicker=0.2,
    )
    plunge = Leg(
        seconds=between(rng, 70, 100),
        level=low,
        gap_s=0.25,
        noise=0.0064,
        spread=20 * _SPREAD,
        floor=low,
        ceiling=1.006 * gave_way,
        bursts=1.0,
        pockets=(0.2, 0.12),
        flicker=0.3,
    )
    return slide, pause, buyers_leave, plunge


def _draw_rebound(rng: Random, top: float, low: float) -> tuple[Leg, ...]:
    """Draw the half hour after the low: five seconds of nothing, then the way back up."""
    snapped = low + (top - low) * between(rng, 0.38, 0.48)
    slipped = snapped - (top - low) * between(rng, 0.06, 0.12)
    back = low + (top - low) * between(rng, 0.76, 0.88)
    halt = Leg(
        seconds=5.0,
        level=low + 0.002 * top,
        gap_s=2.5,
        noise=0.0003,
        spread=24 * _SPREAD,
        floor=low,
        ceiling=low + 0.004 * top,
    )
    snap = Leg(
        seconds=between(rng, 150, 210),
        level=snapped,
        gap_s=0.4,
        noise=0.008,
        spread=9 * _SPREAD,
        floor=low + 0.001 * top,
        ceiling=snapped + 0.005 * top,
        bursts=1.0,
        pockets=(0.1,),
    )
    second_thoughts = Leg(
        seconds=between(rng, 90, 150),
        level=slipped,
        gap_s=0.6,
        noise=0.0064,
        spread=7 * _SPREAD,
        floor=slipped - 0.008 * top,
        ceiling=snapped + 0.006 * top,
        bursts=0.8,
    )
    way_back = Leg(
        seconds=between(rng, 900, 1150),
        level=back,
        gap_s=0.9,
        noise=0.0112,
        spread=3 * _SPREAD,
        floor=slipped - 0.01 * top,
        ceiling=back + 0.008 * top,
        bursts=0.8,
    )
    return halt, snap, second_thoughts, way_back


FLASH_CRASH = Scenario(
    name="flash-crash",
    description="US500, a model day: down 9 % in ten minutes, most of it regained in half an hour",
    symbol="US500",
    digits=2,
    draw=_draw,
)
"""An index CFD that falls and returns within the hour, 18:00 to 19:30 UTC."""
