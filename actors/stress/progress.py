"""A live view of a run, for a terminal; for anything else there is none."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from actors.messages import EngineStatus
from actors.watching import WatchState


class RunView(Protocol):
    """What a run tells whoever watches it."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing."""
        ...

    def phase(self, text: str) -> None:
        """Say what is being done now."""
        ...

    def note(self, text: str) -> None:
        """Say something that must not be missed."""
        ...

    def show(self, status: EngineStatus) -> None:
        """Show how far it has come."""
        ...


class NoView:
    """Shows nothing; notes go to where errors go."""

    def __init__(self, errors: Console) -> None:
        """Remember where errors go."""
        self._errors = errors

    def __enter__(self) -> Self:
        """Show nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Show nothing."""

    def phase(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say it where errors go."""
        self._errors.print(text, style="yellow", markup=False)

    def show(self, status: EngineStatus) -> None:
        """Show nothing."""


class LiveView:
    """Bars for accounts flat and positions closed, closes a second, and the store's backlog."""

    def __init__(self, console: Console, accounts: int, positions: int) -> None:
        """Prepare; ``accounts`` and ``positions`` are the ends of the bars."""
        self._phase = "starting Ray"
        self._counts = ""
        self._started: float | None = None
        self._bars = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            console=console,
            expand=True,
        )
        self._flat = self._bars.add_task("accounts flat", total=accounts)
        self._closed = self._bars.add_task("positions closed", total=positions)
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing, and leave nothing on the screen."""
        self._live.stop()

    def phase(self, text: str) -> None:
        """Say what is being done now."""
        self._phase = text
        self._draw()

    def note(self, text: str) -> None:
        """Say it above the bars, where it stays."""
        self._live.console.print(text, style="yellow", markup=False)

    def show(self, status: EngineStatus) -> None:
        """Move the bars."""
        states = [account.state for account in status.accounts]
        closed = status.positions_closed
        if self._started is None and (closed or status.episodes_open):
            self._started = time.monotonic()
        rate = 0.0
        if self._started is not None and closed:
            rate = closed / max(1e-3, time.monotonic() - self._started)
        self._bars.update(self._flat, completed=states.count(WatchState.FLAT.value))
        self._bars.update(self._closed, completed=closed)
        backlog = status.audit.get("backlog", 0)
        self._counts = (
            f"{status.episodes_open} liquidating, {rate:,.0f} closes/s, store backlog {backlog:,}"
        )
        self._draw()

    def _draw(self) -> None:
        self._live.update(
            Group(Text(self._phase, style="bold"), self._bars, Text(self._counts, style="dim"))
        )
