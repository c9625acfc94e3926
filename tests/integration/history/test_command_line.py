from __future__ import annotations

import io
from pathlib import Path

from typer.testing import CliRunner

from actors.cli.main import app
from audit.history import HistoryWriter


def test_the_command_judges_a_written_history(tmp_path: Path) -> None:
    stream = io.StringIO()
    HistoryWriter(stream)
    path = tmp_path / "history.jsonl"
    path.write_text(stream.getvalue(), encoding="utf-8")
    done = CliRunner().invoke(app, ["audit", "check-history", str(path)])
    assert done.exit_code == 0
    assert done.stdout == "accepted: 0 calls, 0 positions, 0 requests, 0 violations\n"
