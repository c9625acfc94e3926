"""What was answered before: histories of accounts and ended episodes, from journal and store.

The journal is asked first. What was not stored yet is all there, and so are the last records that
were; only what it no longer holds is looked up in the store, if that can be asked now. Answers
from the store are believed as far as their chains lead to a record that the journal knows
(:mod:`audit.proving`). The records of an episode's beginning and end, of which the journal knows
the name alone, are held against their own hashes: nothing is closed because of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

from audit import canonical
from audit.backlog import Backlog
from audit.chain import ChainProblem, SealedRecord, chain_hash
from audit.errors import StoreUnavailable
from audit.filler import Filler
from audit.journal import Journal
from audit.proving import Walk, walked
from audit.queries import LARGEST_LIMIT, RecordQuery
from audit.receipts import AccountHistory, FinishedEpisode
from audit.records import EventType, has_type, parts_of_body, storable, type_marks
from audit.replay import ANSWER_EVENTS, bodies_as_written
from audit.rows import Row, sealed_of
from audit.store import AuditStore
from audit.streams import account_owner, parse_stream

_ASKED_AT_ONCE = 200
_MOST = LARGEST_LIMIT
_ANSWERS = type_marks(*ANSWER_EVENTS)
_CLOSED = type_marks(EventType.POSITION_CLOSED)
_ACCEPTED = type_marks(EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)
_FINISHED = type_marks(EventType.EPISODE_FINISHED)
_OF_EPISODES = (
    EventType.TRIGGER_ACCEPTED,
    EventType.CLOSE_ACCEPTED,
    EventType.EPISODE_FINISHED,
)


class Recall:
    """Reads what accounts and episodes came to; never waits for the store to be filled.

    Args:
        journal: the open journal.
        backlog: its reading side.
        filler: which has the store opened, and knows what it lacks.
        store: the store.
        patience_s: seconds to wait for the end of a batch that the store is taking.
    """

    def __init__(
        self,
        journal: Journal,
        backlog: Backlog,
        filler: Filler,
        store: AuditStore,
        *,
        patience_s: float = 1.0,
    ) -> None:
        """Nothing is read yet."""
        self._journal = journal
        self._backlog = backlog
        self._filler = filler
        self._store = store
        self._patience_s = patience_s
        self._told: set[tuple[str, int]] = set()

    def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the answers of each account, in the order of ``user_ids``.

        Raises:
            ValueError: one of them is no user id.
            JournalUnavailable: the journal cannot be read.
        """
        found: dict[str, dict[str, SealedRecord]] = {}
        partial: list[str] = []
        for user_id in dict.fromkeys(user_ids):
            found[user_id], is_complete = self._in_journal(user_id, _ANSWERS)
            if not is_complete:
                partial.append(user_id)
        unread = set(partial)
        for first in range(0, len(partial), _ASKED_AT_ONCE):
            asked = partial[first : first + _ASKED_AT_ONCE]
            unread -= self._add_stored(asked, found, _ANSWERS)
        gaps = {parse_stream(gap.stream)[0] for gap in self._filler.gaps} if partial else set()
        lacking = unread | {user_id for user_id in partial if account_owner(user_id) in gaps}
        return tuple(
            AccountHistory(
                user_id, bodies_as_written(found[user_id].values()), user_id not in lacking
            )
            for user_id in user_ids
        )

    def finished_episode(self, trigger_id: str) -> FinishedEpisode | None:
        """Return an episode that ended; ``None`` if none of that name did.

        Raises:
            StoreUnavailable: the journal does not know, or no longer holds it, and the store
                cannot be asked.
            JournalUnavailable: the journal cannot be read.
        """
        name = storable(trigger_id)
        known = self._journal.ended_episode(name)
        if known is None and (self._journal.is_open(name) or self._journal.knows_all_episodes):
            return None
        accepted = known.accepted if known else None
        finished = known.finished if known else None
        is_asked = True
        if not (accepted and finished):
            query = RecordQuery(trigger_id=name, event_types=_OF_EPISODES, limit=_MOST)
            stored = self._ask(lambda store: store.query(query))
            is_asked = stored is not None
            for record in self._sound(stored or ()):
                if has_type(record.body, _ACCEPTED):
                    accepted = accepted or record.body
                else:
                    finished = finished or record.body
        if accepted and finished:
            user_id = known.user_id if known else parts_of_body(finished)[2]["user_id"]
            closes, is_complete = self._in_journal(user_id, _CLOSED)
            if not is_complete:  # its own, and those of other episodes that it shares
                self._add_stored([user_id], {user_id: closes}, _CLOSED)
            return _episode(trigger_id, accepted, finished, closes.values())
        if not is_asked:
            raise StoreUnavailable(
                f"trigger_id={trigger_id!r}: the journal no longer holds that episode, and the "
                f"store cannot be asked just now ({self._filler.last_error or 'it is busy'}): "
                "ask again later"
            )
        return None

    def _in_journal(
        self, user_id: str, marks: tuple[bytes, ...]
    ) -> tuple[dict[str, SealedRecord], bool]:
        own = self._backlog.of_owner(account_owner(user_id))
        chosen = {one.event_id: one for one in own.records if has_type(one.body, marks)}
        return chosen, own.is_complete

    def _add_stored(
        self,
        asked: Sequence[str],
        found: Mapping[str, dict[str, SealedRecord]],
        marks: tuple[bytes, ...],
    ) -> set[str]:
        """Add what the store holds of these accounts, proven; return those of which that was all.

        Only records in accounts' own streams are read, as far as the journal does not hold them
        whole: what else the store has was never acknowledged.
        """
        users = {account_owner(user_id): user_id for user_id in asked}
        known = (stream for owner in users for stream in self._backlog.known_streams(owner))
        lacking: set[str] = set()
        ended: dict[str, Walk] = {}
        for walk, records in walked(known, self._read_streams):
            stream = walk.known.head.stream
            user_id = users[parse_stream(stream)[0]]
            if records is None:
                lacking.add(user_id)
                continue
            ended[stream] = walk
            for record in records:
                if has_type(record.body, marks):
                    found[user_id].setdefault(record.event_id, record)
        for stream, walk in ended.items():
            if walk.problem is not None:
                lacking.add(users[parse_stream(stream)[0]])
                self._tell(walk.problem, walk.unproven)
        return set(asked) - lacking

    def _tell(self, problem: ChainProblem, unproven: int) -> None:
        """Raise an alarm once for a record that does not fit, or is missing unsaid."""
        is_gap = any(
            gap.stream == problem.stream and gap.first <= problem.seq <= gap.last
            for gap in self._filler.gaps
        )
        if is_gap or (problem.stream, problem.seq) in self._told:
            return
        self._told.add((problem.stream, problem.seq))
        self._filler.alarm(
            f"the store's record {problem}; {unproven} records of this stream are not believed, "
            "and answers in them are forgotten: run 'risk-engine audit verify'"
        )

    def _sound(self, rows: Iterable[Row]) -> Iterator[SealedRecord]:
        """Pass on the records whose content has its hash, and the journal's where it knows one."""
        for record in map(sealed_of, rows):
            known = self._backlog.hash_of(record.event_id)
            is_whole = chain_hash(record.prev_hash, record.body) == record.hash
            if is_whole and known in (None, record.hash):
                yield record
            else:
                reason = "it is not what was written: it was altered in the store"
                self._tell(ChainProblem(*record[1:3], record.event_id, reason), 1)

    def _read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row] | None:
        return self._ask(lambda store: store.read_streams(streams, after, up_to))

    def _ask(self, read: Callable[[AuditStore], list[Row]]) -> list[Row] | None:
        """Ask the store, unless it is away or busy."""
        with self._filler.borrowed(self._patience_s) as can_ask:
            if not can_ask:
                return None
            try:
                return read(self._store)
            except StoreUnavailable as error:
                trouble = error
        self._filler.distrust(trouble)
        return None


def _episode(
    trigger_id: str, accepted: bytes, finished: bytes, closes: Iterable[SealedRecord]
) -> FinishedEpisode:
    """Put an episode together with its own closes, and those of others that it shares."""
    after = parts_of_body(finished)[2]
    shared = _names_of_answers(finished)
    mine = [one for one in closes if _is_of(one, after["trigger_id"], after["user_id"], shared)]
    return FinishedEpisode(
        trigger_id, after["user_id"], accepted, finished, bodies_as_written(mine)
    )


def _is_of(close: SealedRecord, trigger_id: str, user_id: str, shared: Set[str]) -> bool:
    before, _, after = parts_of_body(close.body)
    is_answer = after["trigger_id"] == trigger_id or before["close_id"] in shared
    return bool(is_answer and after["user_id"] == user_id)


def _names_of_answers(finished: bytes) -> frozenset[str]:
    """Return the close ids that an episode's end names, as far as it does."""
    named = canonical.decode(parts_of_body(finished)[1]).get("close_ids", ())
    return frozenset(name for name in named if name and isinstance(name, str))
