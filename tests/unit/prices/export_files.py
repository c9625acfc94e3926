"""Hand-made files in the terminal's export format, and where real ones may be found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TICK_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"
BAR_HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
DAILY_HEADER = "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"


def write(folder: Path, *lines: str, name: str = "prices.csv", end: str = "\n") -> Path:
    """Write lines as UTF-8, each with ``end``."""
    path = folder / name
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def real_file(name: str) -> Path:
    """Return a real export, or skip the test that asks for it."""
    repository = Path(__file__).resolve().parents[3]
    default = repository.parent / "shared" / "data"
    path = Path(os.environ.get("RISK_ENGINE_PRICE_FILES", default)) / name
    if not path.is_file():
        pytest.skip(f"{name} is not here; set RISK_ENGINE_PRICE_FILES to the folder that has it")
    return path
