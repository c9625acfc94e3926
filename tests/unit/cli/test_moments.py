from __future__ import annotations

import pytest

from actors.cli.audit.moments import iso, parse_moment

NOW = 1_795_386_000_000_000
"""2026-11-22T22:20:00Z"""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T22:20:00Z", NOW),
        ("2026-11-22T22:20", NOW),
        ("2026-11-22 22:20:00.000001", NOW + 1),
        ("2026-11-22T23:20:00+01:00", NOW),
        ("2026-11-22", NOW - (22 * 3600 + 20 * 60) * 1_000_000),
        ("0s", NOW),
        ("90s", NOW - 90_000_000),
        ("15m", NOW - 900_000_000),
        (" 2h ", NOW - 7_200_000_000),
        ("3d", NOW - 3 * 86_400_000_000),
        ("1w", NOW - 7 * 86_400_000_000),
    ],
)
def test_moments_are_iso_8601_or_so_long_ago(text: str, moment: int) -> None:
    assert parse_moment("--since", text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2", "2y", "-2h", "2026-13-01", "25:00", "999999999w", "22/11/2026"]
)
def test_anything_else_is_refused_by_option_and_value(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^--until='.*' is not allowed: .*30s, 15m, 2h"
    ) as refused:
        parse_moment("--until", text, NOW)
    assert repr(text) in str(refused.value)


def test_what_is_written_is_read_again() -> None:
    assert iso(NOW + 1) == "2026-11-22T22:20:00.000001Z"
    assert parse_moment("--since", iso(NOW + 1), 0) == NOW + 1
