"""One generated scenario: a name, a story and a seed give a price path, always the same one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from engine.prices.path import PricePath
from engine.prices.scenarios.legs import Leg, Opening, tell


@dataclass(frozen=True, slots=True)
class Scenario:
    """A seeded story of one symbol's market."""

    name: str
    description: str
    """One line, for a list of scenarios."""
    symbol: str
    digits: int
    draw: Callable[[Random], tuple[Opening, Sequence[Leg]]]
    """Draws the story's opening and legs; the walk through them draws from the same source."""

    def generate(self, seed: int) -> PricePath:
        """Generate the ticks that belong to ``seed``.

        The same seed gives the same ticks on every platform and supported Python; the name
        takes part in the seed, so two scenarios share no randomness.

        Raises:
            ValueError: ``seed`` is not an integer.
        """
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed={seed!r} is not an integer; give any whole number, such as 1")
        # A text is hashed (SHA-512) into the seed; of integers, random drops the sign.
        rng = Random(f"{self.name}:{seed}")
        opening, legs = self.draw(rng)
        times_ms, bids, asks = tell(rng, opening, legs, self.digits)
        return PricePath(
            symbol=self.symbol,
            digits=self.digits,
            source=f"{self.name}, seed {seed}",
            times_ms=times_ms,
            bids=bids,
            asks=asks,
        )
