"""The account's memory of closes: which answer belongs to which position and key.

Rules (the same position and key always get the identical result):

* a *full success* answers every key of its position;
* a partial close or a failure is final for its own key only, so a new trigger may try again;
* the same key with another fingerprint (ticket, volume) is a conflict, whatever the result was.

A position may be named by aliases: the caller's ``position_id`` and the broker's ticket are bound
to the broker's stable identifier when the position is first seen. A ticket is remembered for the
names that come later: an account may not show what it belonged to any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime

from engine import arguments
from engine.errors import IdempotencyConflict
from engine.models import CloseRequest, CloseResult, EarlierAnswer, PositionRef, SharedAnswer
from engine.outcomes import Outcome

_log = logging.getLogger(__name__)


class IdempotencyMap:
    """Results by (position, key), for one account; not shared between threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._refs: dict[tuple[str, str], tuple[str, int]] = {}
        self._results: dict[tuple[str, str], CloseResult] = {}
        self._full: dict[str, CloseResult] = {}
        self._full_by_name: dict[str, CloseResult] = {}
        self._pending: dict[tuple[str, str], asyncio.Future[CloseResult]] = {}
        self._aliases: dict[str, str] = {}
        self._by_ticket: dict[int, str] = {}

    def position_of(self, request: CloseRequest) -> str:
        """Return the position's stable identity, or the alias itself while it is unbound."""
        return self._aliases.get(request.position_id, request.position_id)

    def identifier_of(self, request: CloseRequest) -> int | None:
        """Return the broker's identifier that the caller's name, or its ticket, stands for."""
        # No ticket is given twice: whoever named it, it was this position's.
        bound = self._aliases.get(request.position_id) or self._by_ticket.get(request.ticket)
        return None if bound is None else int(bound)

    def bind(self, request: CloseRequest, identity: str) -> None:
        """Bind the caller's name of a position to the broker's identifier.

        Raises:
            ValueError: the name is bound to another position already.
        """
        bound = self._bind(request.position_id, identity)
        if bound != identity:
            arguments.refuse(
                "ticket",
                request.ticket,
                f"position_id={request.position_id!r} names position {bound}, but this ticket "
                f"belongs to position {identity}; use another position_id",
            )
        self._by_ticket[request.ticket] = identity

    def _bind(self, alias: str, identity: str) -> str:
        """Bind a name if it is free, and take along what was answered under it; return its own."""
        bound = self._aliases.get(alias)
        if bound is not None:
            return bound
        self._aliases[alias] = identity
        # What was answered before the broker knew the name keeps answering its own keys.
        for entry, ref in list(self._refs.items()):
            position, key = entry
            if position != alias or ref[0] != alias or position == identity:
                continue
            if (identity, key) not in self._fingerprints and entry in self._results:
                self._refs[identity, key] = ref
                self._keep((identity, key), self._fingerprints[entry], self._results[entry])
        return identity

    def answered_by_another(self, request: CloseRequest, result: CloseResult) -> CloseResult:
        """Note that a key was given another key's full success: it has that answer from now on."""
        entry = (self.position_of(request), request.idempotency_key)
        self._fingerprints.setdefault(entry, request.fingerprint)
        self._refs.setdefault(entry, (request.position_id, request.ticket))
        return self._results.setdefault(entry, result)

    def claim(self, request: CloseRequest) -> CloseResult | asyncio.Future[CloseResult] | None:
        """Return the answer that this very key has or is being given; ``None`` if it has none.

        Raises:
            IdempotencyConflict: the key was used for another ticket or volume.
        """
        position = self.position_of(request)
        entry = (position, request.idempotency_key)
        known = self._fingerprints.get(entry)
        if known is not None and known != request.fingerprint:
            raise IdempotencyConflict(
                f"idempotency_key={request.idempotency_key!r} was used for position {position} "
                f"with (version:ticket:volume) {known}, now it comes with {request.fingerprint}; "
                "nothing was sent: use a new key for a new request"
            )
        return self._results.get(entry) or self._pending.get(entry)

    def answer(self, position: str, key: str) -> CloseResult | None:
        """Return the final answer that a position's key has, if it has one."""
        return self._results.get((position, key))

    def fingerprint_of(self, position: str, key: str) -> str | None:
        """Return the fingerprint that a position's key was used with, if it was."""
        return self._fingerprints.get((position, key))

    def full_success(self, position: str) -> CloseResult | None:
        """Return the full success that answers every key of ``position``, if there is one."""
        return self._full.get(position)

    def reopened(self, position: str) -> None:
        """Take note that a position is open although it was closed in full.

        A net position that was turned around lives on under its identifier. Its answers keep
        answering their own keys; new keys are new requests.
        """
        self._full.pop(position, None)

    def start(self, request: CloseRequest) -> asyncio.Future[CloseResult]:
        """Note that an answer is being made, and return the future that will hold it."""
        entry = (self.position_of(request), request.idempotency_key)
        future: asyncio.Future[CloseResult] = asyncio.get_running_loop().create_future()
        self._fingerprints[entry] = request.fingerprint
        self._refs[entry] = (request.position_id, request.ticket)
        self._pending[entry] = future
        return future

    def finish(self, request: CloseRequest, result: CloseResult) -> None:
        """Keep the final answer and hand it to all who wait for it."""
        position = self.position_of(request)
        entry = (position, request.idempotency_key)
        self._keep(entry, request.fingerprint, result)
        pending = self._pending.pop(entry, None)
        if pending is not None and not pending.done():
            pending.set_result(result)

    def abandon(self, request: CloseRequest) -> None:
        """Forget an answer that will not come (its task was cancelled before it was final)."""
        pending = self._let_go(request)
        if pending is not None:
            pending.cancel()

    def fail(self, request: CloseRequest, error: BaseException) -> None:
        """Tell all who wait for an answer that none was made; the key is free again."""
        pending = self._let_go(request)
        if pending is not None and not pending.done():
            pending.set_exception(error)
            pending.exception()  # seen: it is no fault that nobody waits for it

    def _let_go(self, request: CloseRequest) -> asyncio.Future[CloseResult] | None:
        entry = (self.position_of(request), request.idempotency_key)
        if entry not in self._results:
            self._fingerprints.pop(entry, None)
            self._refs.pop(entry, None)
        return self._pending.pop(entry, None)

    def is_busy(self, *positions: str) -> bool:
        """Whether an answer for one of ``positions``, under whatever key, is being made."""
        return any(held in positions for held, _ in self._pending)

    async def quiet(self, *positions: str) -> None:
        """Wait until no answer for any of ``positions``, under whatever key, is being made."""
        while busy := [f for (held, _), f in self._pending.items() if held in positions]:
            await asyncio.wait(busy)

    def take_up(self, answers: Iterable[EarlierAnswer]) -> None:
        """Take up answers of earlier lives, in the order of their records.

        A shared answer whose close is not among them (the history is incomplete) is passed over,
        with an error in the log: its key is then a new request.
        """
        for answer in answers:
            if isinstance(answer, SharedAnswer):
                if not self.restore_shared(answer):
                    _log.error(
                        "position %s and key %r had the answer of close %s, which is not known "
                        "any more: passed over",
                        answer.position,
                        answer.key,
                        answer.close_id,
                    )
            else:
                result, evidence = answer
                self.restore(evidence.position, evidence.key, evidence.fingerprint, result)

    def restore_shared(self, shared: SharedAnswer) -> bool:
        """Take up from the records that a key has another key's full success.

        What the key has already stays as it is.

        Returns:
            Whether the key has an answer now; not if the close that it names is unknown.
        """
        entry = (shared.position, shared.key)
        if entry in self._results:
            return True
        result = self._full_by_name.get(shared.close_id)
        if result is None:
            return False
        self._fingerprints[entry] = shared.fingerprint
        self._refs[entry] = (shared.position_id, shared.ticket)
        self._results[entry] = result
        if shared.position_id != shared.position:
            self._bind(shared.position_id, shared.position)  # else it was not bound, or to itself
        return True

    def restore(self, position: str, key: str, fingerprint: str, result: CloseResult) -> None:
        """Take up a final answer from the records of an earlier life.

        In the order of the records: the newest full success of a position is the one that
        answers every key. An answer that is known already stays as it is, and so does a name
        that is bound already.
        """
        entry = (position, key)
        if entry in self._results:
            return
        self._refs[entry] = (result.position_id, result.ticket)
        self._keep(entry, fingerprint, result)
        if not position.isdecimal() or not _was_found(result):
            return
        if self._bind(result.position_id, position) == position:
            self._by_ticket.setdefault(result.ticket, position)

    def _keep(self, entry: tuple[str, str], fingerprint: str, result: CloseResult) -> None:
        self._fingerprints[entry] = fingerprint
        self._results[entry] = result
        if result.is_full_success:
            self._full[entry[0]] = result
            self._full_by_name[result.close_id] = result

    def refs_under(self, key: str) -> tuple[PositionRef, ...]:
        """Return the positions that have an answer under ``key``, or one in the making.

        In the order in which they were started, named as their callers named them.
        """
        return tuple([PositionRef(*ref) for (_, held), ref in self._refs.items() if held == key])

    def answered_since(self, moment: datetime) -> tuple[PositionRef, ...]:
        """Return the positions that got a final answer at ``moment`` or later, oldest first."""
        return tuple(
            [
                PositionRef(*self._refs[entry])
                for entry, result in self._results.items()
                if result.close_timestamp >= moment
            ]
        )

    def close_ids(self) -> frozenset[str]:
        """Return the names of all closes that have a final answer."""
        return frozenset([result.close_id for result in self._results.values()])

    def __len__(self) -> int:
        """Count the final answers."""
        return len(self._results)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over the (position, key) pairs that have a final answer."""
        return iter(self._results)


def _was_found(result: CloseResult) -> bool:
    """Whether the broker knew the position: a name that it did not know stands for no number."""
    return result.attempts > 0 or result.outcome in (
        Outcome.DONE,
        Outcome.PARTIAL,
        Outcome.ALREADY_CLOSED,
        Outcome.REJECTED,
    )
