"""Many positions of one account in one go: what a trigger or a bulk call covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine import arguments
from engine.clock import Clock, to_datetime
from engine.closing import AccountCloser
from engine.concluding import refused_entry
from engine.errors import MarketClosed
from engine.models import BulkCloseResult, CloseRequest, CloseResult, GuardTrigger, PositionRef
from engine.ordering import ClosingQueue
from engine.requests import position_entries


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """How a call over many positions stands: what is final, and what waits for its market."""

    results: BulkCloseResult
    waiting: tuple[MarketClosed, ...]
    """Positions to be tried again under the same key; no result counts them."""

    def with_waiting(self, clock: Clock) -> BulkCloseResult:
        """Count what waits as failed results: of callers that do not come again."""
        if not self.waiting:
            return self.results
        reason, now = self.results.close_reason, to_datetime(clock.wall_us())
        return BulkCloseResult.of(
            reason,
            [
                *self.results.results,
                *(
                    refused_entry(w.position_id, w.ticket, reason, error=str(w), now=now)
                    for w in self.waiting
                ),
            ],
        )


async def liquidate_now(account: AccountCloser, trigger: GuardTrigger, clock: Clock) -> BulkOutcome:
    """Close what ``trigger`` covers on ``account``, under the trigger's own key.

    Raises:
        BrokerError: the trigger covers all open positions and they cannot be read.
        LeaseLost: this life may not send any more.
    """
    return await close_now(
        account,
        None
        if trigger.positions is None
        else [{"position_id": p.position_id, "ticket": p.ticket} for p in trigger.positions],
        close_reason=f"{trigger.guard.value}: {trigger.reason}",
        key=trigger.trigger_id,
        initiator=trigger.guard.value,
        trigger_id=trigger.trigger_id,
        clock=clock,
    )


async def close_now(
    account: AccountCloser,
    positions: Sequence[Mapping[str, Any]] | None,
    *,
    close_reason: str,
    key: str | None,
    initiator: str,
    clock: Clock,
    trigger_id: str = "",
    volume: float | None = None,
    close_price: float | None = None,
    concludes: bool = False,
) -> BulkOutcome:
    """Close given positions, or all open ones, of one account.

    Args:
        account: the account's closer.
        positions: ``[{"position_id": ..., "ticket": ...}, ...]``, or ``None`` for all that is
            open. An invalid entry is a failed result of its own.
        close_reason: why, for the record.
        key: one idempotency key for all; ``None``: each position's own ``position_id``.
        initiator: the guard or person behind it.
        clock: dates the results of invalid entries.
        trigger_id: the trigger behind it, if there is one.
        volume: lots to close of each; ``None`` is all that is open.
        close_price: price asked for; see :class:`engine.models.CloseRequest`.
        concludes: whether nothing more is sent; see :class:`engine.ordering.ClosingQueue`.

    Raises:
        BrokerError: ``positions`` is ``None`` and the open ones cannot be read.
        LeaseLost: this life may not send any more.
    """
    given, broken = sound_entries(positions, close_reason, to_datetime(clock.wall_us()))
    if given is None:
        refs = [PositionRef(p.position_id, p.ticket) for p in await account.open_positions()]
    else:
        refs = await account.in_order(given)
    requests: Iterable[CloseRequest] = (
        CloseRequest(
            position_id=ref.position_id,
            ticket=ref.ticket,
            user_id=account.user_id,
            close_reason=close_reason,
            idempotency_key=key or ref.position_id,
            initiator=initiator,
            trigger_id=trigger_id,
            volume=volume,
            close_price=close_price,
        )
        for ref in refs
    )
    ended = await account.close_each(ClosingQueue(requests, concludes=concludes))
    return BulkOutcome(
        BulkCloseResult.of(
            close_reason, [*(r for r in ended if isinstance(r, CloseResult)), *broken]
        ),
        tuple(r for r in ended if isinstance(r, MarketClosed)),
    )


def sound_entries(
    positions: object, close_reason: str, now: datetime
) -> tuple[tuple[PositionRef, ...] | None, tuple[CloseResult, ...]]:
    """Tell the sound entries of a bulk call from the invalid ones.

    Args:
        positions: ``None`` for all open positions, or a list of entries, good or bad.
        close_reason: stands in the results of invalid entries.
        now: dates them.

    Returns:
        The sound entries (``None`` as given), and a failed result for each invalid one.

    Raises:
        ValueError: ``positions`` is neither.
    """
    entries = position_entries(positions)
    if entries is None:
        return None, ()
    sound: list[PositionRef] = []
    broken: list[CloseResult] = []
    for entry in entries:
        try:
            sound.append(_ref(entry))
        except ValueError as error:
            fields = entry if isinstance(entry, Mapping) else {}
            broken.append(
                refused_entry(
                    fields.get("position_id"),
                    fields.get("ticket"),
                    close_reason,
                    error=str(error),
                    now=now,
                )
            )
    return tuple(sound), tuple(broken)


def _ref(entry: Any) -> PositionRef:
    if not isinstance(entry, Mapping):
        arguments.refuse("positions", entry, "its items must hold 'position_id' and 'ticket'")
    return PositionRef(
        arguments.nonempty_text("position_id", entry.get("position_id")),
        arguments.positive_integer("ticket", entry.get("ticket")),
    )
