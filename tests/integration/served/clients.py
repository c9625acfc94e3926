"""Processes that use a venue and are killed, or leave it behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from time import monotonic

from engine.simulated.served import VenueProcess

CLOSING_CLIENT = """
import sys
from engine.simulated.served import ServedTerminal

mt5 = ServedTerminal(port=int(sys.argv[1]), token=sys.argv[2], login=int(sys.argv[3]))
assert mt5.initialize(), mt5.last_error()
first = mt5.positions_get()[0]
print("sending", flush=True)
mt5.order_send({
    "action": mt5.TRADE_ACTION_DEAL, "symbol": first.symbol, "volume": first.volume,
    "type": 1 - first.type, "position": first.ticket, "comment": "TAG",
})
print("answered", flush=True)
"""

NEGLIGENT_PARENT = """
import sys
from engine.simulated.served import PriceSource, ServedAccount, VenuePlan, VenueProcess

plan = VenuePlan(
    prices=PriceSource(symbol="EURUSD", ticks=((0, 1.1, 1.2),)),
    accounts=(ServedAccount(login=1, user_id="ann"),),
)
venue = VenueProcess(plan)
venue.start()
print(venue.port, flush=True)
sys.stdin.read()
"""


def start_closing(venue: VenueProcess, login: int) -> subprocess.Popen[str]:
    """Start a process that closes an account's first position."""
    return subprocess.Popen(
        [sys.executable, "-c", CLOSING_CLIENT, str(venue.port), venue.token, str(login)],
        stdout=subprocess.PIPE,
        text=True,
    )


def start_negligent_parent() -> subprocess.Popen[str]:
    """Start a process that starts a venue and waits."""
    return subprocess.Popen(
        [sys.executable, "-c", NEGLIGENT_PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until(is_met: Callable[[], object], within_s: float = 30.0) -> None:
    """Return as soon as ``is_met`` is true; fail after ``within_s`` seconds."""
    end = monotonic() + within_s
    between = threading.Event()
    while not is_met():
        assert monotonic() < end, f"not met within {within_s} s"
        between.wait(0.005)
