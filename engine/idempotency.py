"""The account's memory of closes: which answer belongs to which position and key.

Rules (the same position and key always get the identical result):

* a *full success* answers every key of its position;
* a partial close or a failure is final for its own key only, so a new trigger may try again;
* the same key with another fingerprint (ticket, volume) is a conflict, whatever the result was.

A position may be named by aliases: the caller's ``position_id`` and the broker's ticket are bound
to the broker's stable identifier when the position is first seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from engine import arguments
from engine.errors import IdempotencyConflict
from engine.models import CloseRequest, CloseResult


class IdempotencyMap:
    """Results by (position, key), for one account; not shared between threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._results: dict[tuple[str, str], CloseResult] = {}
        self._full: dict[str, CloseResult] = {}
        self._pending: dict[tuple[str, str], asyncio.Future[CloseResult]] = {}
        self._aliases: dict[str, str] = {}

    def position_of(self, request: CloseRequest) -> str:
        """Return the position's stable identity, or the alias itself while it is unbound."""
        return self._aliases.get(request.position_id, request.position_id)

    def identifier_of(self, request: CloseRequest) -> int | None:
        """Return the broker's identifier that the caller's name is bound to, if it is."""
        bound = self._aliases.get(request.position_id)
        return None if bound is None else int(bound)

    def bind(self, request: CloseRequest, identity: str) -> None:
        """Bind the caller's name of a position to the broker's identifier.

        Raises:
            ValueError: the name is bound to another position already.
        """
        bound = self._aliases.setdefault(request.position_id, identity)
        if bound != identity:
            arguments.refuse(
                "ticket",
                request.ticket,
                f"position_id={request.position_id!r} names position {bound}, but this ticket "
                f"belongs to position {identity}; use another position_id",
            )

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
        self._pending[entry] = future
        return future

    def finish(self, request: CloseRequest, result: CloseResult) -> None:
        """Keep the final answer and hand it to all who wait for it."""
        position = self.position_of(request)
        entry = (position, request.idempotency_key)
        self.restore(position, request.idempotency_key, request.fingerprint, result)
        pending = self._pending.pop(entry, None)
        if pending is not None and not pending.done():
            pending.set_result(result)

    def abandon(self, request: CloseRequest) -> None:
        """Forget an answer that will not come (its task was cancelled before it was final)."""
        entry = (self.position_of(request), request.idempotency_key)
        self._fingerprints.pop(entry, None)
        pending = self._pending.pop(entry, None)
        if pending is not None:
            pending.cancel()

    def fail(self, request: CloseRequest, error: BaseException) -> None:
        """Tell all who wait for an answer that making it failed; the key is free again."""
        entry = (self.position_of(request), request.idempotency_key)
        self._fingerprints.pop(entry, None)
        pending = self._pending.pop(entry, None)
        if pending is not None and not pending.done():
            pending.set_exception(error)

    def is_busy(self, position: str) -> bool:
        """Whether an answer for ``position``, under whatever key, is being made."""
        return any(held == position for held, _ in self._pending)

    async def quiet(self, position: str) -> None:
        """Wait until no answer for ``position``, under whatever key, is being made."""
        while busy := [f for (held, _), f in self._pending.items() if held == position]:
            await asyncio.wait(busy)

    def restore(self, position: str, key: str, fingerprint: str, result: CloseResult) -> None:
        """Take up a final answer, from this life or from the records of an earlier one."""
        self._fingerprints[position, key] = fingerprint
        self._results[position, key] = result
        if result.is_full_success:
            self._full[position] = result

    def __len__(self) -> int:
        """Count the final answers."""
        return len(self._results)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over the (position, key) pairs that have a final answer."""
        return iter(self._results)
