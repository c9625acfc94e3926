"""Reads the price files that a MetaTrader 5 terminal exports (Symbols window, Ticks and Bars).

Both kinds are separated by tabs, and the header says which it is:

* ticks: ``<DATE> <TIME> <BID> <ASK> <LAST> <VOLUME> <FLAGS>``. An empty BID or ASK is unchanged;
  FLAGS is a bit mask in which 2 says that the bid changed and 4 that the ask did.
* bars: ``<DATE> <TIME> <OPEN> <HIGH> <LOW> <CLOSE> <TICKVOL> <VOL> <SPREAD>``, prices are bids,
  SPREAD is in points. Files of daily and longer bars have no TIME.

Times are the broker's server time, as they stand in the file.
"""

from __future__ import annotations

import codecs
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from engine.prices.mt5_fields import (
    LineError,
    MostDecimals,
    parse_date,
    parse_price,
    parse_time,
    parse_whole,
)
from engine.prices.path import PricePath

MOST_DIGITS = 12
"""Decimals that a price may have here; the terminal's symbols have 8 at most."""

_TICKS = ("<DATE>", "<TIME>", "<BID>", "<ASK>", "<LAST>", "<VOLUME>", "<FLAGS>")
_BARS = (
    *("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>"),
    *("<CLOSE>", "<TICKVOL>", "<VOL>", "<SPREAD>"),
)
_DAILY_BARS = ("<DATE>", *_BARS[2:])
_BID_CHANGED = 2
_ASK_CHANGED = 4
_ONE_MINUTE_MS = 60_000
_ONE_DAY_MS = 86_400_000
_HOW_TO_EXPORT = "in the terminal: Symbols (Ctrl+U), tab Bars or Ticks, Request, Export"
_EXPORT_MORE = "export a span that has prices"


class PriceFileError(ValueError):
    """A price file cannot be used; the text names the file, the line and the reason.

    Attributes:
        file: The file as it was given.
        line: Number of the bad line, from 1; ``None`` when no single line is to blame.
        reason: What is wrong and, where it helps, what to do.
    """

    def __init__(self, file: Path, line: int | None, reason: str) -> None:
        """Keep the three parts, also across process borders."""
        super().__init__(file, line, reason)
        self.file = file
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        """Write ``file, line n: reason``."""
        where = f"{self.file}" if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class _Ticks:
    """Three growing columns."""

    times_ms: array[int] = field(default_factory=lambda: array("q"))
    bids: array[float] = field(default_factory=lambda: array("d"))
    asks: array[float] = field(default_factory=lambda: array("d"))

    def add(self, time_ms: int, bid: float, ask: float) -> None:
        self.times_ms.append(time_ms)
        self.bids.append(bid)
        self.asks.append(ask)


@dataclass(frozen=True, slots=True)
class _Bar:
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    spread_points: int

    def bids(self) -> tuple[float, float, float, float]:
        """Return the bids in the order of the tester's mode '1 minute OHLC'."""
        if self.close >= self.open:
            return (self.open, self.low, self.high, self.close)
        return (self.open, self.high, self.low, self.close)


def read_prices(path: Path, symbol: str, digits: int | None = None) -> PricePath:
    """Read an exported file of ticks or bars.

    A bar becomes four ticks, at its start and each quarter of its length later: open, low,
    high, close if it rose or stood still, otherwise open, high, low, close; the ask is the bid
    plus the bar's spread. The length is the smallest distance between two bars in the file; a
    single bar lasts a minute, or a day in a file without times.

    Args:
        path: The file, in UTF-8 or, with a byte-order mark, UTF-16.
        symbol: Name to give the prices; the file has none.
        digits: Decimals of the symbol's prices; by default the most that a price in the file has.

    Raises:
        PriceFileError: The file cannot be read, or a line of it is malformed.
        ValueError: ``symbol`` is blank or ``digits`` is not within 0 to 12.
    """
    if not isinstance(symbol, str) or not symbol.strip():
        raise ValueError(f"symbol={symbol!r} is blank; give the symbol's name, such as 'EURUSD'")
    if digits is not None and (
        isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS
    ):
        raise ValueError(f"digits={digits!r} must be an integer from 0 to {MOST_DIGITS}, or None")
    path = Path(path)
    decimals = MostDecimals(MOST_DIGITS if digits is None else digits)
    try:
        lines = _lines(path)
        header = next(lines, (1, ""))[1]
        columns = tuple(header.split("\t"))
        if columns == _TICKS:
            ticks = _read_ticks(path, lines, decimals)
            found = decimals.most if digits is None else digits
        elif columns in (_BARS, _DAILY_BARS):
            bars = _read_bars(path, lines, columns, decimals)
            found = decimals.most if digits is None else digits
            ticks = _expand(bars, _ONE_MINUTE_MS if columns == _BARS else _ONE_DAY_MS, found)
        else:
            raise PriceFileError(path, 1, _unknown_header(header))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PriceFileError(path, None, f"cannot be read: {reason}; check the path") from error
    return PricePath(symbol, found, path.name, ticks.times_ms, ticks.bids, ticks.asks)


def _read_ticks(path: Path, lines: Iterator[tuple[int, str]], decimals: MostDecimals) -> _Ticks:
    """Read the lines below the header of a file of ticks."""
    ticks = _Ticks()
    last_ms = 0
    bid = ask = 0.0
    for number, line in lines:
        try:
            fields, time_ms = _split(line, _TICKS, last_ms)
            bid, ask = _quote(fields, bid, ask, decimals)
        except LineError as error:
            raise PriceFileError(path, number, str(error)) from None
        if bid and ask:
            ticks.add(time_ms, bid, ask)
        last_ms = time_ms
    if not ticks.times_ms:
        raise PriceFileError(path, None, f"no line gives both a bid and an ask; {_EXPORT_MORE}")
    return ticks


def _read_bars(
    path: Path,
    lines: Iterator[tuple[int, str]],
    columns: tuple[str, ...],
    decimals: MostDecimals,
) -> list[_Bar]:
    """Read the lines below the header of a file of bars."""
    bars: list[_Bar] = []
    for number, line in lines:
        try:
            fields, start_ms = _split(line, columns, bars[-1].start_ms if bars else 0)
            if bars and start_ms == bars[-1].start_ms:
                raise LineError("the bar has the time of the bar before it; remove one of them")
            bars.append(_bar(start_ms, fields[-7:], decimals))
        except LineError as error:
            raise PriceFileError(path, number, str(error)) from None
    if not bars:
        raise PriceFileError(path, None, f"no bars follow the header; {_EXPORT_MORE}")
    return bars


def _split(line: str, columns: tuple[str, ...], last_ms: int) -> tuple[list[str], int]:
    """Split a line into its fields and read its time."""
    fields = line.split("\t")
    if len(fields) != len(columns):
        raise LineError(_wrong_columns(line, len(fields), columns))
    time_ms = parse_date(fields[0])
    if columns[1] == "<TIME>":
        time_ms += parse_time(fields[1])
    if time_ms < last_ms:
        raise LineError(
            f"time runs backwards, by {last_ms - time_ms} ms since the line before; sort the file"
        )
    return fields, time_ms


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read numbered lines, without their ends and without the blank lines that end the file.

    Bytes that are no text become U+FFFD, which no field allows: the error then has its line.
    """
    with path.open("rb") as raw:
        start = raw.read(2)
    encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    blank: list[tuple[int, str]] = []
    with path.open(encoding=encoding, errors="replace", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            content = line.rstrip("\r\n")
            if content.strip():
                yield from blank
                blank.clear()
                yield number, content
            else:
                blank.append((number, content))


def _quote(
    fields: list[str], bid: float, ask: float, decimals: MostDecimals
) -> tuple[float, float]:
    """Read a tick's bid and ask; 0.0 as long as one is unknown."""
    flags = parse_whole("FLAGS", fields[6])
    for name, text in (("LAST", fields[4]), ("VOLUME", fields[5])):
        if text and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            raise LineError(f"{name}={text!r} is not a number; it may be empty")
    bid = _changed("BID", fields[2], flags & _BID_CHANGED, bid, decimals)
    ask = _changed("ASK", fields[3], flags & _ASK_CHANGED, ask, decimals)
    if bid and ask and ask < bid:
        raise LineError(f"ASK={ask} is below BID={bid}")
    return bid, ask


def _changed(name: str, text: str, flagged: int, before: float, decimals: MostDecimals) -> float:
    """Read a price that is left empty while it stays what it was."""
    if text:
        return parse_price(name, text, decimals)
    if flagged:
        raise LineError(f"{name} is empty, but FLAGS says that it changed")
    return before


def _bar(start_ms: int, fields: list[str], decimals: MostDecimals) -> _Bar:
    """Read a bar from its last seven columns."""
    opened = parse_price("OPEN", fields[0], decimals)
    high = parse_price("HIGH", fields[1], decimals)
    low = parse_price("LOW", fields[2], decimals)
    close = parse_price("CLOSE", fields[3], decimals)
    if high < max(low, opened, close) or low > min(opened, close):
        raise LineError(f"HIGH={high} and LOW={low} do not enclose the bar's OPEN and CLOSE")
    parse_whole("TICKVOL", fields[4])
    parse_whole("VOL", fields[5])
    return _Bar(start_ms, opened, high, low, close, parse_whole("SPREAD", fields[6]))


def _expand(bars: list[_Bar], single_ms: int, digits: int) -> _Ticks:
    """Turn bars into four ticks each."""
    length_ms = min((b.start_ms - a.start_ms for a, b in pairwise(bars)), default=single_ms)
    ticks = _Ticks()
    for bar in bars:
        spread = bar.spread_points / 10**digits
        for quarter, bid in enumerate(bar.bids()):
            ticks.add(bar.start_ms + quarter * length_ms // 4, bid, round(bid + spread, digits))
    return ticks


def _wrong_columns(line: str, count: int, columns: tuple[str, ...]) -> str:
    if not line.strip():
        return "a blank line in the middle of the file; remove it"
    return f"{count} columns instead of {len(columns)}: {' '.join(columns)}, separated by tabs"


def _unknown_header(header: str) -> str:
    """Say what the first line looks like and what is needed."""
    start = header.lstrip().lower()
    if not start:
        return f"the file is empty; export it {_HOW_TO_EXPORT}"
    if "\0" in header:
        hint = "it looks like UTF-16 without a byte-order mark, or no text; save it as UTF-8"
    elif start.startswith(("<!doctype", "<html", "<?xml", "<head")):
        hint = "it is a web page or a report, not a price export"
    elif "," in header or ";" in header:
        hint = "it is separated by commas or semicolons; the terminal writes tabs"
    elif start[:1].isdigit():
        hint = "it begins without a header"
    else:
        hint = "the header must be the terminal's own"
    shown = header if len(header) <= 60 else header[:60] + "…"
    return (
        f"unknown header {shown!r}: {hint}. Needed, separated by tabs: {' '.join(_TICKS)} or "
        f"{' '.join(_BARS)}; export it {_HOW_TO_EXPORT}"
    )
