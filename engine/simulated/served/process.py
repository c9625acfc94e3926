"""A venue in a process of its own, from its start to its certain end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final

import engine
from engine.brokers.account_spec import AccountSpec
from engine.simulated.served.accounts import ServedAccount, VenuePlan
from engine.simulated.served.control import VenueControl
from engine.simulated.served.protocol import LOOPBACK

BROKER: Final = "engine.simulated.served:external_broker"
"""The factory of a served account's broker, as a specification names it."""

_ENDS_WITHIN_S: Final = 10.0
_LAST_WORDS: Final = 2_000


class VenueFailed(RuntimeError):
    """The venue process did not start; the message quotes what it said."""


class VenueProcess:
    """Starts a venue process, and stops it for sure.

    The process belongs to a session of its own, so that signals meant for its parent's group
    pass it by, and ends by itself when its parent does, however that happens. Use it as a
    context manager, or call :meth:`start` and :meth:`stop`.

    Args:
        plan: What the venue holds.
        ready_within_s: How long its start may take, in seconds; opening ten thousand accounts
            takes a while.
    """

    def __init__(self, plan: VenuePlan, *, ready_within_s: float = 60.0) -> None:
        """Remember the plan; nothing is started yet."""
        self.plan = plan
        self._ready_within_s = ready_within_s
        self._process: subprocess.Popen[str] | None = None
        self._control: VenueControl | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._port = 0
        self._token = ""

    def __enter__(self) -> VenueProcess:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it serves.

        Raises:
            VenueFailed: It ended, or was not ready in time; the message quotes what it said.
        """
        if self._process is not None:
            raise RuntimeError("this venue process is running already; stop it first")
        self._folder = TemporaryDirectory(prefix="venue-")
        try:
            self._begin(Path(self._folder.name))
        except BaseException:
            self.stop()
            raise

    def _begin(self, folder: Path) -> None:
        plan, said = folder / "plan.json", folder / "stderr.txt"
        plan.write_text(self.plan.to_json(), encoding="utf-8")
        with said.open("wb") as stderr:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "engine.simulated.served"),
                    *("--accounts-file", str(plan)),
                    *("--listen", f"{LOOPBACK}:0"),
                    "--die-with-stdin",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
                env=_with_this_code(),
            )
        ready = self._ready_line(self._process)
        if ready is None:
            words = said.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip()
            raise VenueFailed(
                f"the venue process was not ready within {self._ready_within_s} s; "
                f"it said: {words or 'nothing'}"
            )
        self._port, self._token = ready["port"], ready["token"]
        self._control = VenueControl(self._port, self._token)

    def _ready_line(self, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        assert process.stdout is not None
        lines: list[str] = []
        # A thread, because a pipe has no time-out of its own; the process's end ends the wait.
        reader = threading.Thread(target=_read_line, args=(process.stdout, lines), daemon=True)
        reader.start()
        reader.join(self._ready_within_s)
        if reader.is_alive():
            process.kill()  # its end ends the reading
            reader.join()
        if not lines or not lines[0]:
            return None
        ready: dict[str, Any] = json.loads(lines[0])
        return ready

    def stop(self) -> None:
        """End the process, by force if need be, and wait for its end; harmless when it is gone."""
        if self._control is not None:
            self._control.close()
            self._control = None
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def pid(self) -> int:
        """The process's number.

        Raises:
            RuntimeError: It is not running.
        """
        if self._process is None:
            raise RuntimeError("this venue process is not running; start it first")
        return self._process.pid

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def token(self) -> str:
        """What every connection has to say first."""
        return self._token

    @property
    def control(self) -> VenueControl:
        """The operator's connection.

        Raises:
            RuntimeError: The process is not running.
        """
        if self._control is None:
            raise RuntimeError("this venue process is not running; start it first")
        return self._control

    def options(
        self, login: int, *, timeout_s: float = 60.0, replay: bool = True
    ) -> dict[str, object]:
        """Return the options of :func:`external_broker` for an account.

        Raises:
            ValueError: The account is not in the plan.
        """
        self.plan.account(login)
        return self._options(login, timeout_s, replay)

    def _options(self, login: int, timeout_s: float, replay: bool) -> dict[str, object]:
        return {
            "port": self._port,
            "token": self._token,
            "login": login,
            "timeout_s": timeout_s,
            "replay": replay,
            "speed": self.plan.speed,
        }

    def spec(self, login: int, *, timeout_s: float = 60.0, replay: bool = True) -> AccountSpec:
        """Return an account as the engine takes it; arguments as of :func:`external_broker`.

        Raises:
            ValueError: The account is not in the plan.
        """
        return self._spec(self.plan.account(login), timeout_s, replay)

    def _spec(self, account: ServedAccount, timeout_s: float, replay: bool) -> AccountSpec:
        return AccountSpec(
            user_id=account.user_id,
            broker=BROKER,
            options=self._options(account.login, timeout_s, replay),
        )

    def specs(self, *, timeout_s: float = 60.0, replay: bool = True) -> list[AccountSpec]:
        """Return all accounts as the engine takes them."""
        return [self._spec(account, timeout_s, replay) for account in self.plan.accounts]


def _with_this_code() -> dict[str, str]:
    """Return an environment in which a child imports the very code that runs here."""
    paths = [str(Path(engine.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _read_line(stream: Any, lines: list[str]) -> None:
    lines.append(stream.readline())


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, wait, and kill it if it does not."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdin.close()
    process.stdout.close()
