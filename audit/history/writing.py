"""Writes a history as it happens: to memory, and to a stream if one is given."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TextIO

from audit.history.book import VenueDeal, VenuePosition, VenueRequest
from audit.history.events import Completion, FinalRecord, Header, Invocation
from audit.history.history import Event, History
from audit.history.reading import LINE_KINDS

_NAMES = {cls: name for name, cls in LINE_KINDS.items()}


def line_of(event: Event) -> str:
    """Return the line of a history file that stands for ``event``, without its line break."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}, allow_nan=False)


class HistoryWriter:
    """Takes events one by one, in any order; not shared between threads.

    Args:
        stream: gets each line as it comes, flushed, so that a killed run leaves what it saw;
            ``None`` keeps the history in memory only.
        settle_window_us: how long a request that has left may still act.
        requests: whether every request that reaches the venue will be written.
        records: whether every final record will be written.
        clock_tolerance_us: how far the clocks of clients and venue may be apart.

    Example:
        >>> from audit.history import HistoryWriter, Invocation, check
        >>> writer = HistoryWriter(settle_window_us=1_000_000)
        >>> writer.invoked(Invocation("c1", "me", "ann", "close", "k", 5, positions=("7",)))
        >>> check(writer.history()).accepted  # it never came back, and nothing was executed
        True
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        settle_window_us: int | None = None,
        requests: bool = True,
        records: bool = False,
        clock_tolerance_us: int = 0,
    ) -> None:
        """Write the header."""
        self._stream = stream
        self._events: list[Event] = []
        self._add(
            Header(
                settle_window_us=settle_window_us,
                requests=requests,
                records=records,
                clock_tolerance_us=clock_tolerance_us,
            )
        )

    def invoked(self, call: Invocation) -> None:
        """Note that a client makes a call."""
        self._add(call)

    def completed(self, end: Completion) -> None:
        """Note that a call comes back."""
        self._add(end)

    def position(self, position: VenuePosition) -> None:
        """Note a position that is or was open; once, with all its aliases."""
        self._add(position)

    def deal(self, deal: VenueDeal) -> None:
        """Note an execution."""
        self._add(deal)

    def request(self, request: VenueRequest) -> None:
        """Note a close that reached the venue, once what became of it is known."""
        self._add(request)

    def record(self, record: FinalRecord) -> None:
        """Note a final record of the audit."""
        self._add(record)

    def history(self) -> History:
        """Return what was written so far.

        Raises:
            ValueError: the events contradict each other; the message says how.
        """
        return History.of(self._events)

    def _add(self, event: Event) -> None:
        self._events.append(event)
        if self._stream is not None:
            self._stream.write(line_of(event) + "\n")
            self._stream.flush()
