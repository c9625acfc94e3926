"""Which state every episode is in, as far as the seam shows it; and how often which fault met it.

The board hears what the engine's parts say to each other and asks none of them, so it holds for
any engine that keeps to :mod:`actors.links`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from actors.messages import EpisodeState
from actors.simulation.audit_actor import AuditEar
from actors.simulation.fault_kinds import ALL_KINDS
from actors.simulation.history import History
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt
from audit.records import AuditRecord, EventType, has_type, record_of, type_marks

_OPENED = type_marks(EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)
_ENDED = type_marks(EventType.EPISODE_FINISHED)


class EpisodeBoard(AuditEar):
    """Follows every episode from its record of acceptance to its record of the end."""

    def __init__(self, history: History) -> None:
        """Begin without episodes."""
        self._history = history
        self._states: dict[str, dict[str, EpisodeState]] = {}
        self._noted: set[str] = set()
        self.records: dict[str, SealedRecord] = {}
        """Every record that the journal has acknowledged, by event id."""
        self.accepted_us: dict[str, int] = {}
        """When each episode's mandate was on disk."""
        self.clashes: list[str] = []
        """Event ids that were acknowledged with two contents."""

    def states(self, user_id: str) -> list[EpisodeState]:
        """Return the states of an account's episodes; of all accounts' for an empty name."""
        if user_id:
            return list(self._states.get(user_id, {}).values())
        return [state for states in self._states.values() for state in states.values()]

    def appended(self, batch: Sequence[SealedRecord], receipt: AppendReceipt) -> None:
        """Hear which records are on disk."""
        apart = {item.record.hash for item in receipt.set_aside}
        for sealed in batch:
            if sealed.event_id not in receipt.acknowledged or sealed.hash in apart:
                continue
            known = self.records.setdefault(sealed.event_id, sealed)
            if known is not sealed:
                if known.hash != sealed.hash:
                    self.clashes.append(sealed.event_id)
                continue
            if has_type(sealed.body, _OPENED):
                record = record_of(sealed.body)
                self.accepted_us.setdefault(record.trigger_id or "", self._history.now_us)
                self._set(record, EpisodeState.ACCEPTED, only_new=True)
            elif has_type(sealed.body, _ENDED):
                record = record_of(sealed.body)
                self._set(record, EpisodeState(record.outcome or ""))

    def _set(self, record: AuditRecord, state: EpisodeState, *, only_new: bool = False) -> None:
        self.turn(record.user_id, record.trigger_id or "", state, only_new=only_new)

    def turn(
        self, user_id: str, episode: str, state: EpisodeState, *, only_new: bool = False
    ) -> None:
        """Note an episode's new state; one that has ended stays as it is."""
        states = self._states.setdefault(user_id, {})
        before = states.get(episode)
        if before is not None and (only_new or before.is_final or before is state):
            return
        states[episode] = state
        self._history.note("episode", user_id, episode=episode, state=state.value)


class Coverage:
    """How often each kind of fault met an episode in each state."""

    def __init__(self) -> None:
        """Begin at nought."""
        self._counts: Counter[tuple[str, str]] = Counter()

    def met(self, kind: str, states: Iterable[EpisodeState]) -> None:
        """Count a fault that met episodes in these states."""
        for state in states:
            self._counts[kind, state.value] += 1

    def add(self, table: dict[str, dict[str, int]]) -> None:
        """Add another run's table."""
        for kind, row in table.items():
            for state, count in row.items():
                self._counts[kind, state] += count

    def table(self) -> dict[str, dict[str, int]]:
        """Return all cells, also the empty ones: kind, then state."""
        return {
            kind: {state.value: self._counts[kind, state.value] for state in EpisodeState}
            for kind in ALL_KINDS
        }
