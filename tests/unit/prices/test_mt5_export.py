from __future__ import annotations

import codecs
import pickle
import re
import time
from pathlib import Path

import pytest

from engine.prices import PriceFileError, read_prices
from tests.unit.prices.export_files import (
    BAR_HEADER,
    DAILY_HEADER,
    TICK_HEADER,
    real_file,
    write,
)

NEW_YEAR_MS = 1_704_067_200_000
"""2024-01-01 00:00."""
TICK = "2024.01.01\t00:00:01.250\t1.10000\t1.10012\t\t\t6"
BAR = "2024.01.01\t00:00:00\t1.1000\t1.1030\t1.0990\t1.1010\t9\t0\t12"


def test_ticks_are_read_as_they_stand(tmp_path: Path) -> None:
    path = write(tmp_path, TICK_HEADER, TICK, "2024.01.01\t00:00:02.000\t1.1\t1.2\t1.15\t3\t6")
    prices = read_prices(path, "EURUSD")
    assert (prices.symbol, prices.digits, prices.source) == ("EURUSD", 5, "prices.csv")
    assert list(prices.times_ms) == [NEW_YEAR_MS + 1250, NEW_YEAR_MS + 2000]
    assert list(prices.bids) == [1.1, 1.1]
    assert list(prices.asks) == [1.10012, 1.2]


def test_an_empty_price_is_unchanged(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        TICK_HEADER,
        TICK,
        "2024.01.01\t00:00:02\t\t1.10020\t\t\t4",
        "2024.01.01\t00:00:03\t1.10010\t\t\t\t2",
        "2024.01.01\t00:00:03\t\t\t1.10015\t5\t24",
    )
    prices = read_prices(path, "EURUSD")
    assert list(prices.bids) == [1.1, 1.1, 1.1001, 1.1001]
    assert list(prices.asks) == [1.10012, 1.1002, 1.1002, 1.1002]


def test_leading_ticks_wait_until_both_prices_are_known(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        TICK_HEADER,
        "2024.01.01\t00:00:00\t\t1.3\t\t\t4",
        "2024.01.01\t00:00:01\t\t1.2\t\t\t4",
        "2024.01.01\t00:00:02\t1.1\t\t\t\t2",
    )
    prices = read_prices(path, "EURUSD")
    assert list(prices.times_ms) == [NEW_YEAR_MS + 2000]
    assert prices.tick(0).ask == 1.2


def test_bars_become_four_ticks_in_the_testers_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        BAR_HEADER,
        BAR,
        "2024.01.01\t00:01:00\t1.1010\t1.1020\t1.0980\t1.0995\t9\t0\t20",
        "2024.01.01\t00:05:00\t1.1000\t1.1001\t1.0999\t1.1000\t9\t0\t0",
    )
    prices = read_prices(path, "EURUSD")
    rising, falling, flat = (list(prices.bids[i : i + 4]) for i in (0, 4, 8))
    assert rising == [1.1, 1.099, 1.103, 1.101]
    assert falling == [1.101, 1.102, 1.098, 1.0995]
    assert flat == [1.1, 1.0999, 1.1001, 1.1]
    assert list(prices.asks[:5]) == [1.1012, 1.1002, 1.1042, 1.1022, 1.103]
    starts = (0, 60_000, 300_000)
    quarters = (0, 15_000, 30_000, 45_000)
    assert list(prices.times_ms) == [NEW_YEAR_MS + s + q for s in starts for q in quarters]


def test_given_digits_set_the_size_of_a_point(tmp_path: Path) -> None:
    assert read_prices(write(tmp_path, BAR_HEADER, BAR), "EURUSD").tick(0).ask == 1.1012
    prices = read_prices(write(tmp_path, BAR_HEADER, BAR), "EURUSD", digits=5)
    assert (prices.digits, prices.tick(0).ask) == (5, 1.10012)


def test_a_single_bar_lasts_a_minute(tmp_path: Path) -> None:
    prices = read_prices(write(tmp_path, BAR_HEADER, BAR), "EURUSD")
    assert prices.times_ms[-1] - prices.times_ms[0] == 45_000


def test_daily_bars_have_no_time(tmp_path: Path) -> None:
    bar = "100.0\t101.0\t99.0\t100.5\t9\t0\t5"
    path = write(tmp_path, DAILY_HEADER, f"2024.01.01\t{bar}", f"2024.01.04\t{bar}")
    prices = read_prices(path, "US500")
    day_ms = 86_400_000
    assert list(prices.times_ms[3:5]) == [NEW_YEAR_MS + 9 * day_ms // 4, NEW_YEAR_MS + 3 * day_ms]
    single = read_prices(write(tmp_path, DAILY_HEADER, f"2024.01.01\t{bar}"), "US500")
    assert single.times_ms[1] - single.times_ms[0] == day_ms // 4


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [("07:08", 25_680_000), ("07:08:09", 25_689_000), ("07:08:09.5", 25_689_500)],
)
def test_times_are_written_in_three_ways(tmp_path: Path, text: str, after_ms: int) -> None:
    path = write(tmp_path, TICK_HEADER, f"2024.01.01\t{text}\t1.1\t1.2\t\t\t6")
    assert list(read_prices(path, "EURUSD").times_ms) == [NEW_YEAR_MS + after_ms]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, mark: bytes, encoding: str, end: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(mark + end.join([TICK_HEADER, TICK, TICK, "", " ", ""]).encode(encoding))
    assert list(read_prices(path, "EURUSD").bids) == [1.1, 1.1]


def test_a_file_may_end_without_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(f"{TICK_HEADER}\n{TICK}", encoding="utf-8")
    assert len(read_prices(path, "EURUSD")) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2024.01.01\t00:00:02\t1.1\t1.2\t\t6", "6 columns instead of 7"),
        ("", "blank line in the middle"),
        ("2024-01-01\t00:00:02\t1.1\t1.2\t\t\t6", "DATE='2024-01-01' is not written YYYY.MM.DD"),
        ("2024.02.30\t00:00:02\t1.1\t1.2\t\t\t6", "not in the calendar"),
        ("1969.12.31\t00:00:02\t1.1\t1.2\t\t\t6", "before 1970"),
        ("2024.01.01\t24:00:00\t1.1\t1.2\t\t\t6", "no time of day"),
        ("2024.01.01\t0:00\t1.1\t1.2\t\t\t6", "TIME='0:00' is not written"),
        ("2024.01.01\t00:00:00\t1.1\t1.2\t\t\t6", "backwards, by 1250 ms"),
        ("2024.01.01\t00:00:02\tabc\t1.2\t\t\t6", "BID='abc' is not a number"),
        ("2024.01.01\t00:00:02\t1,1\t1.2\t\t\t6", "decimal comma"),
        ("2024.01.01\t00:00:02\tnan\t1.2\t\t\t6", "BID='nan' is not finite"),
        ("2024.01.01\t00:00:02\t1.1\tinf\t\t\t6", "ASK='inf' is not finite"),
        ("2024.01.01\t00:00:02\t0.00\t1.2\t\t\t6", "BID='0.00' must be above zero"),
        ("2024.01.01\t00:00:02\t-1.1\t1.2\t\t\t6", "BID='-1.1' must be above zero"),
        ("2024.01.01\t00:00:02\t1_1\t1.2\t\t\t6", "not a plain decimal number"),
        ("2024.01.01\t00:00:02\t1e1\t1.2\t\t\t6", "not a plain decimal number"),
        ("2024.01.01\t00:00:02\t1.3\t1.2\t\t\t6", "ASK=1.2 is below BID=1.3"),
        ("2024.01.01\t00:00:02\t\t1.2\t\t\t6", "BID is empty, but FLAGS says that it changed"),
        ("2024.01.01\t00:00:02\t1.1\t1.2\t\t\t", "FLAGS='' is not a whole number"),
        ("2024.01.01\t00:00:02\t1.1\t1.2\tx\t\t6", "LAST='x' is not a number"),
        ("2024.01.01\t00:00:02\t1.1234567890123\t2\t\t\t6", "has 13 decimals, 12 are allowed"),
    ],
)
def test_a_malformed_tick_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = write(tmp_path, TICK_HEADER, TICK, line, "2024.01.01\t00:00:03\t1.1\t1.2\t\t\t6")
    with pytest.raises(PriceFileError, match=re.escape(reason)) as caught:
        read_prices(path, "EURUSD")
    assert (caught.value.file, caught.value.line) == (path, 3)
    assert str(caught.value).startswith(f"{path}, line 3: ")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("00:01:00\t1.1\t1.0\t1.2\t1.1\t9\t0\t5", "do not enclose"),
        ("00:01:00\t1.1\t1.2\t1.0\t1.3\t9\t0\t5", "do not enclose"),
        ("00:01:00\t\t1.2\t1.0\t1.1\t9\t0\t5", "OPEN is empty"),
        ("00:01:00\t1.1\t1.2\t1.0\t1.1\t9\t0\t-5", "SPREAD='-5' is not a whole number"),
        ("00:01:00\t1.1\t1.2\t1.0\t1.1\t9\t0\t0.5", "SPREAD='0.5' is not a whole number"),
        ("00:00:00\t1.1\t1.2\t1.0\t1.1\t9\t0\t5", "has the time of the bar before"),
    ],
)
def test_a_malformed_bar_is_named(tmp_path: Path, fields: str, reason: str) -> None:
    path = write(tmp_path, BAR_HEADER, BAR, f"2024.01.01\t{fields}")
    with pytest.raises(PriceFileError, match=re.escape(reason)) as caught:
        read_prices(path, "EURUSD")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (f"{TICK_HEADER}\n".encode(), "no line gives both a bid and an ask"),
        (f"{BAR_HEADER}\n".encode(), "no bars follow the header"),
        (f"{TICK_HEADER}\n2024.01.01\t00:00\t1.1\t\t\t\t2\n".encode(), "no line gives both"),
        (TICK_HEADER.replace("\t", ",").encode(), "separated by commas"),
        (b"<!DOCTYPE html><html></html>", "web page or a report"),
        (f"{TICK}\n".encode(), "begins without a header"),
        (TICK_HEADER.encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (b"<DATE>\t<BID>\n", "the header must be the terminal's own"),
    ],
)
def test_another_kind_of_file_gets_a_hint(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    with pytest.raises(PriceFileError, match=re.escape(reason)):
        read_prices(path, "EURUSD")


def test_bytes_that_are_no_text_are_found_in_their_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(f"{TICK_HEADER}\n{TICK}\n".encode() + TICK.encode().replace(b"1.1", b"\xff"))
    with pytest.raises(PriceFileError, match="line 3: BID="):
        read_prices(path, "EURUSD")


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(PriceFileError, match=r"cannot be read: .*check the path") as caught:
            read_prices(path, "EURUSD")
        assert caught.value.line is None


def test_more_decimals_than_the_given_digits_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match="has 5 decimals, 3 are allowed"):
        read_prices(write(tmp_path, TICK_HEADER, TICK), "EURUSD", digits=3)


@pytest.mark.parametrize("digits", [-1, 13, True])
def test_impossible_digits_are_refused(tmp_path: Path, digits: int) -> None:
    with pytest.raises(ValueError, match="digits="):
        read_prices(write(tmp_path, TICK_HEADER, TICK), "EURUSD", digits)


def test_a_blank_symbol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="symbol=' ' is blank"):
        read_prices(write(tmp_path, TICK_HEADER, TICK), " ")


def test_the_error_crosses_process_borders() -> None:
    error = PriceFileError(Path("a.csv"), 7, "bad")
    assert str(pickle.loads(pickle.dumps(error))) == "a.csv, line 7: bad"


def test_real_ticks_are_read_whole_and_fast() -> None:
    path = real_file("USDJPY_ticks_20130225.csv")
    started = time.perf_counter()
    prices = read_prices(path, "USDJPY")
    assert time.perf_counter() - started < 1.0
    assert (len(prices), prices.digits) == (6240, 3)
    assert (max(prices.bids), min(prices.bids)) == (94.616, 90.851)


def test_real_bars_are_read_whole_and_fast() -> None:
    path = real_file("BTCUSD_M1_20220120_20220125.csv")
    started = time.perf_counter()
    prices = read_prices(path, "BTCUSD")
    assert time.perf_counter() - started < 1.0
    assert (len(prices), prices.digits) == (4 * 7200, 1)
    assert {round(a - b, 1) for a, b in zip(prices.asks, prices.bids, strict=True)} == {5.0}
