"""Counts a fault that lasts where it acts: once for each of its windows and each account.

A disk that is slow while nobody writes, or a clock that nobody reads, has met no episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from actors.messages import EpisodeState
from actors.simulation.fault_kinds import Disturbance


class Acting:
    """The windows of faults that last, and on whom each has acted.

    Args:
        met: told of each meeting: the kind and the account.
        states: says which states an account's episodes are in.
    """

    def __init__(
        self,
        met: Callable[[str, str], object],
        states: Callable[[str], Sequence[EpisodeState]],
    ) -> None:
        """Begin without windows."""
        self._met = met
        self._states = states
        self._reached: dict[tuple[Disturbance, str], set[str]] = {}

    def begin(self, kind: Disturbance, process: str = "") -> None:
        """Begin a window.

        Args:
            kind: what goes wrong.
            process: in which process alone; empty for the engine as a whole.
        """
        self._reached[kind, process] = set()

    def acted(
        self,
        kind: Disturbance,
        users: Iterable[str],
        process: str = "",
        *,
        needs_open: bool = False,
    ) -> None:
        """Count a fault that acts now, on accounts that its window has not reached before.

        Args:
            kind: what acts.
            users: on which accounts; one without an episode is not reached.
            process: as it was begun.
            needs_open: whether an account is reached only while one of its episodes is open.
        """
        reached = self._reached.setdefault((kind, process), set())
        for user_id in users:
            states = () if user_id in reached else self._states(user_id)
            if any(not state.is_final for state in states) if needs_open else states:
                reached.add(user_id)
                self._met(kind, user_id)
