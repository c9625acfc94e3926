"""The server that the tests run ends with its owner, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import postgres_fixtures
from tests.cluster.waiting import wait_until
from tests.postgres_server import PostgresServer, PostgresUnavailable

_OWNER = """
import sys
from pathlib import Path
from tests.postgres_server import running_postgres
with running_postgres(Path(sys.argv[1])) as server:
    print(server.data, flush=True)
    input()
"""


def _ask(url: str, statement: str) -> object:
    address = url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def test_a_crash_of_the_server_leaves_address_and_data(stoppable_postgres: PostgresServer) -> None:
    url = stoppable_postgres.fresh_database()
    other = stoppable_postgres.fresh_database()
    stoppable_postgres.stop("immediate")
    assert not stoppable_postgres.is_running
    with pytest.raises(psycopg.OperationalError):
        _ask(url, "SELECT 1")
    stoppable_postgres.start()
    assert _ask(url, "SELECT current_database()") == url.partition("?")[0].rpartition("/")[2]
    assert _ask(other, "SELECT count(*) FROM pg_database WHERE datname LIKE 'test_%'") == 2


@pytest.mark.usefixtures("stoppable_postgres")  # skips where there is none
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_killed_owner_leaves_no_server(is_closed: bool) -> None:
    with postgres_fixtures.reachable_folder() as folder:
        above = folder / "above"
        with subprocess.Popen(
            [sys.executable, "-c", _OWNER, str(above / "pg")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as owner:
            assert owner.stdout is not None
            said = owner.stdout.readline().strip()
            assert said, "the server did not start: see what its owner printed"
            pid = Path(said) / "postmaster.pid"
            assert pid.exists()
            if is_closed:
                above.chmod(0o700)
            owner.send_signal(signal.SIGKILL)
            owner.wait()
        wait_until(lambda: not pid.exists(), what=lambda: "the server still runs")


@pytest.mark.parametrize("in_ci", [True, False])
def test_without_a_server_ci_fails_and_others_skip(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, in_ci: bool
) -> None:
    def none(_: Path) -> None:
        raise PostgresUnavailable("there is none here")

    monkeypatch.setattr(postgres_fixtures, "running_postgres", none)
    if in_ci:
        monkeypatch.setenv("CI", "true")
    else:
        monkeypatch.delenv("CI", raising=False)
    wanted: type[BaseException] = PostgresUnavailable if in_ci else pytest.skip.Exception
    with pytest.raises(wanted, match="there is none here"):
        request.getfixturevalue("stoppable_postgres")
