"""Price files that a test writes itself, so that it runs where no real ones are."""

from __future__ import annotations

from pathlib import Path

from tests.unit.prices.export_files import BAR_HEADER, TICK_HEADER, write


def slide_in_ticks(folder: Path) -> Path:
    """Write EURUSD ticks that fall by 2.4 % in four minutes, two of them at one time.

    The spread comes and goes; two lines of three leave the ask as it was.
    """
    lines = []
    for n in range(240):
        bid = 1.20000 - n * 0.00012 + (n % 7) * 0.00003
        moment = f"00:{n // 60:02d}:{n % 60:02d}.{n * 37 % 1000:03d}"
        if n % 3 == 0:
            ask = bid + 0.00008 + (n % 5) * 0.00002
            lines.append(f"2024.01.02\t{moment}\t{bid:.5f}\t{ask:.5f}\t\t\t6")
        else:
            lines.append(f"2024.01.02\t{moment}\t{bid:.5f}\t\t\t\t2")
    return write(folder, TICK_HEADER, *lines, lines[-1])


def gap_in_bars(folder: Path, fallen_to: float = 105.60) -> Path:
    """Write USDJPY bars: five calm ones at 110, then one that opens at ``fallen_to``."""
    calm = [f"2024.01.02\t00:{n:02d}:00\t110.00\t110.08\t109.96\t110.04\t5\t0\t1" for n in range(5)]
    o, h, low, c = (f"{fallen_to + more:.2f}" for more in (0.0, 0.10, -0.50, -0.40))
    return write(folder, BAR_HEADER, *calm, f"2024.01.02\t00:05:00\t{o}\t{h}\t{low}\t{c}\t5\t0\t3")


def gap_at_the_first_step(folder: Path) -> Path:
    """Write EURUSD ticks of which the second is 4 % below the first."""
    prices = (1.20000, 1.15200, 1.15100, 1.15150)
    return write(
        folder,
        TICK_HEADER,
        *(
            f"2024.01.02\t00:00:0{n}.000\t{bid:.5f}\t{bid + 0.0001:.5f}\t\t\t6"
            for n, bid in enumerate(prices)
        ),
    )


def spread_that_blows_out(folder: Path) -> Path:
    """Write EURUSD ticks whose bid stands still while the ask runs away, and comes back."""
    asks = (1.2001, 1.2002, 1.2060, 1.2119, 1.2121, 1.2200, 1.2003)
    return write(
        folder,
        TICK_HEADER,
        *(f"2024.01.02\t00:00:0{n}.000\t1.20000\t{ask:.5f}\t\t\t6" for n, ask in enumerate(asks)),
    )
