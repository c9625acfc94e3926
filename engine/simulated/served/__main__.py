"""``python -m engine.simulated.served``: the venue process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from engine.clock import SystemClock
from engine.simulated.served.accounts import VenuePlan
from engine.simulated.served.server import VenueServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or, with ``--die-with-stdin``, the end of standard input.

    One line of JSON on standard output (``port``, ``token``, ``pid``) tells that it is ready.

    Returns:
        0; 2 if the plan or the address is no good, and standard error says why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m engine.simulated.served",
        description="A venue process: holds the books of simulated accounts, whoever dies.",
    )
    parser.add_argument("--accounts-file", required=True, type=Path, help="the plan, as JSON")
    parser.add_argument("--listen", default="127.0.0.1:0", help="loopback address and port")
    parser.add_argument(
        "--die-with-stdin", action="store_true", help="end when standard input does"
    )
    given = parser.parse_args(arguments)
    host, _, port = given.listen.rpartition(":")
    try:
        if not port.isdigit():
            raise ValueError(f"--listen {given.listen!r} must look like 127.0.0.1:0")
        plan = VenuePlan.from_json(given.accounts_file.read_text(encoding="utf-8"))
        asyncio.run(_serve(plan, host, int(port), dies_with_stdin=given.die_with_stdin))
    except (OSError, ValueError) as error:
        print(f"the venue cannot start: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(plan: VenuePlan, host: str, port: int, *, dies_with_stdin: bool) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, end.set)
        except NotImplementedError:  # Windows' loop has none
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(end.set))
    if dies_with_stdin:
        threading.Thread(target=_wait_for_end, args=(loop, end), daemon=True).start()
    server = VenueServer(plan, token=secrets.token_hex(16), clock=SystemClock())
    try:
        bound = await server.listen(host, port)
        ready = {"port": bound, "token": server.token, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        await end.wait()
    finally:
        await server.stop()


def _wait_for_end(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    """Wait in a thread until nobody holds the other end of standard input."""
    # Not by sys.stdin: its lock, held by this thread at the interpreter's end, would abort it.
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(end.set)


if __name__ == "__main__":
    sys.exit(main())
