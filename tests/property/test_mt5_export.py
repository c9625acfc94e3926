from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.prices import PriceFileError, PricePath, read_prices

HEADER = b"<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"
BARS = (
    b"<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    b"2024.01.01\t00:00:00\t1.1000\t1.1030\t1.0990\t1.1010\t9\t0\t12\n"
    b"2024.01.01\t00:01:00\t1.1010\t1.1020\t1.0980\t1.0995\t9\t0\t20\n"
)
Row = tuple[int, int, int]
"""Wait in ms, bid in points, spread in points."""

rows = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 10**6)),
    min_size=1,
    max_size=20,
)


def as_text(points: int, digits: int) -> str:
    if digits == 0:
        return str(points)
    text = str(points).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}"


def export(rows: list[Row], digits: int) -> tuple[bytes, list[tuple[int, float, float]]]:
    """Write rows as the terminal does, unchanged prices left empty, and what they mean."""
    lines, meant = [], []
    time_ms = 0
    before: tuple[str, str] = ("", "")
    for wait_ms, bid, spread in rows:
        time_ms += wait_ms
        prices = as_text(bid, digits), as_text(bid + spread, digits)
        shown = ["" if new == old else new for new, old in zip(prices, before, strict=True)]
        flags = (2 if shown[0] else 0) + (4 if shown[1] else 0)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        stamp = f"{moment:%Y.%m.%d\t%H:%M:%S}.{time_ms % 1000:03d}"
        lines.append(f"{stamp}\t{shown[0]}\t{shown[1]}\t\t\t{flags}\r\n")
        meant.append((time_ms, float(prices[0]), float(prices[1])))
        before = prices
    return HEADER + "".join(lines).encode(), meant


def read(content: bytes, digits: int | None = None) -> PricePath:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.csv"
        path.write_bytes(content)
        return read_prices(path, "EURUSD", digits)


@settings(deadline=None)
@given(rows=rows, digits=st.integers(0, 8))
def test_what_is_exported_is_read_back(rows: list[Row], digits: int) -> None:
    content, meant = export(rows, digits)
    prices = read(content)
    assert prices.digits == digits
    assert list(zip(prices.times_ms, prices.bids, prices.asks, strict=True)) == meant


@settings(deadline=None)
@given(
    rows=rows,
    bars=st.booleans(),
    place=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 12),
    insert=st.one_of(
        st.binary(max_size=6),
        st.text(alphabet="0123456789.,-+eE_:\t\r\n naif\u0661\x85\u2028", max_size=8).map(
            str.encode
        ),
    ),
)
def test_a_damaged_file_is_refused_or_valid(
    rows: list[Row], bars: bool, place: float, cut: int, insert: bytes
) -> None:
    content = BARS if bars else export(rows, 5)[0]
    at = int(place * len(content))
    try:
        prices = read(content[:at] + insert + content[at + cut :])
    except PriceFileError:
        return
    ticks = [prices.tick(i) for i in range(len(prices))]
    assert all(0 < tick.bid <= tick.ask < float("inf") for tick in ticks)
    assert list(prices.times_ms) == sorted(prices.times_ms)
