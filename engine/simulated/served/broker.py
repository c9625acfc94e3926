"""The broker of an account at a venue process: the real adapter over a served terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from engine.brokers.mt5 import MT5Broker
from engine.simulated.served.client import ServedTerminal
from engine.simulated.served.protocol import LOOPBACK

_LOOK_AGAIN_S: Final = 0.05


class ExternalBroker(MT5Broker):
    """One account at a venue process, whose prices its guards poll.

    Args:
        terminal: The connection to the account.
        login: The account, which the venue has to prove.
        timeout_s: How long opening the connection may take, in seconds.
    """

    def __init__(self, terminal: ServedTerminal, *, login: int, timeout_s: float) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__(terminal, login=login, timeout_s=timeout_s)
        self.terminal = terminal


class ExternalReplay(ExternalBroker):
    """The same, whose market moves when it is asked to: a :class:`~engine.brokers.MarketFeed`.

    The market's place belongs to the account and stays at the venue: who connects after another
    client died goes on from there, and sees the current tick first.

    Args:
        terminal: The connection to the account.
        login: The account.
        timeout_s: How long opening the connection may take, in seconds.
        speed: Market seconds for a wall second; 0 is as fast as the machine can.
        monotonic: The wall clock that paces the replay.
    """

    def __init__(
        self,
        terminal: ServedTerminal,
        *,
        login: int,
        timeout_s: float,
        speed: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__(terminal, login=login, timeout_s=timeout_s)
        self._speed = speed
        self._monotonic = monotonic
        self._pace: tuple[float, int] | None = None
        self._has_begun = False

    def due_in(self) -> float | None:
        """Return the wall seconds until the next tick; 0 without pace, ``None`` after the last.

        While the venue cannot be reached the market is looked at again in a moment: the look
        itself is what reconnects.
        """
        if not self._has_begun:
            return 0.0
        if not self.terminal.is_connected:
            return _LOOK_AGAIN_S
        upcoming, now_ms = self.terminal.now["next_ms"], self.terminal.now["time_ms"]
        if upcoming is None or now_ms is None:
            return None
        if self._speed == 0:
            return 0.0
        now = self._monotonic()
        if self._pace is None:
            self._pace = (now, now_ms)
        started, first_ms = self._pace
        return max(0.0, started + (upcoming - first_ms) / 1000 / self._speed - now)

    def advance(self) -> None:
        """Have the market move to the next tick; at first, only look at the present one.

        A venue that cannot be reached moves nothing; the reads that follow try to reconnect, and
        say so if they cannot.
        """
        if self._has_begun and not self.terminal.advance():
            self._connected = False
        self._has_begun = True


def external_broker(
    user_id: str,
    *,
    port: int,
    token: str,
    login: int,
    host: str = LOOPBACK,
    timeout_s: float = 60.0,
    replay: bool = True,
    speed: float = 0.0,
) -> ExternalBroker:
    """Make the broker of an account at a venue process.

    Name it ``engine.simulated.served:external_broker`` in a specification;
    :meth:`VenueProcess.spec` writes one.

    Args:
        user_id: Whose; for the books of the caller, the venue goes by ``login``.
        port: The venue's port.
        token: Its token.
        login: The account's number.
        host: Where it listens.
        timeout_s: How long a call may go without an answer, in seconds. It blocks that long.
        replay: Whether the market moves when the account's guards ask (else it is polled).
        speed: Market seconds for a wall second of a replay; 0 is as fast as the machine can.

    Raises:
        ValueError: ``timeout_s`` or ``speed`` is no such number.
    """
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s={timeout_s!r} must be finite seconds above 0")
    if not 0 <= speed < float("inf"):
        raise ValueError(f"speed={speed!r} must be finite, 0 or above")
    terminal = ServedTerminal(host=host, port=port, token=token, login=login, timeout_s=timeout_s)
    if replay:
        return ExternalReplay(terminal, login=login, timeout_s=timeout_s, speed=speed)
    return ExternalBroker(terminal, login=login, timeout_s=timeout_s)
