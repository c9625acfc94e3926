from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_disk_that_is_full_for_a_while_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.audit.full_disk_child"]
    child = subprocess.run(
        [*command, str(tmp_path / "journal.sqlite3")],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    report = json.loads(child.stdout)
    assert len(report["refusals"]) == 2
    assert all("cannot be used" in refusal for refusal in report["refusals"])
    assert report["kept_meanwhile"] == 3
    assert report["acknowledged"] == 2_000
    assert report["set_aside"] == 0
    assert report["expected"] == {}
    assert report["kept"] == 2_003
    assert report["heads"] == [["account:u1:1", 3], ["account:u2:1", 2_000]]
