"""An rpyc classic server on a free loopback port, as ``mt5linux`` runs one beside a terminal.

``python -m tests.conformance.bridge_server`` prints its port and serves until its standard input
ends, which also happens when the process that started it dies.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_DEADLINE_S = 20


def serve() -> None:
    """Serve until standard input ends."""
    rpyc = import_module("rpyc")  # untyped, and an optional package
    quiet = logging.getLogger("bridge-server")
    quiet.setLevel(logging.CRITICAL)
    server = import_module("rpyc.utils.server").ThreadedServer(
        rpyc.SlaveService, hostname="127.0.0.1", port=0, logger=quiet
    )
    server._listen()  # or the port that is told would still refuse
    threading.Thread(target=server.start, daemon=True).start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # threads of calls that hang must not keep the process


class RunningServer(NamedTuple):
    """A server's port and its process."""

    port: int
    process: subprocess.Popen[str]

    def wait_for_its_end(self) -> None:
        """Wait until the process is gone, and its port with it."""
        self.process.wait(_DEADLINE_S)


@contextmanager
def running_server() -> Iterator[RunningServer]:
    """Run the server in a process of its own."""
    command = [sys.executable, "-m", "tests.conformance.bridge_server"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline()
            assert port, f"the server ended with status {process.wait(_DEADLINE_S)}"
            yield RunningServer(int(port), process)
        finally:
            process.stdin.close()
            try:
                process.wait(_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def serve_terminal(port: int, factory: str, **options: bool) -> None:
    """Make the server import a new terminal as ``MetaTrader5``.

    ``factory`` is a function of :mod:`tests.conformance.served_terminals`.
    """
    with import_module("rpyc").classic.connect("127.0.0.1", port) as connection:
        connection.execute(
            "import sys\n"
            "from tests.conformance import served_terminals\n"
            f"sys.modules['MetaTrader5'] = served_terminals.{factory}(**{options!r})"
        )


if __name__ == "__main__":
    serve()
