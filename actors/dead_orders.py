"""Orders of lives that died over them: closed at the broker, and on no record.

A close tag is derived from account, position and key, so the life that goes on with a mandate can
tell from the broker's deals which of them were made for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.brokers.port import FAR_FUTURE_MS
from engine.closing import AccountCloser
from engine.identity import close_id, close_tag, is_close_tag
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import CloseRequest, PositionRef
from engine.reversal import MOST_UNDOINGS, undoing_key


@dataclass(frozen=True, slots=True)
class OurOrders:
    """Which positions were left under which of the engine's close tags."""

    user_id: str
    tags: frozenset[tuple[int, str]] = frozenset()
    numbers: tuple[int, ...] = field(default=())
    """Identifiers of these positions, ascending."""

    def closed_for(self, mandate: Mandate) -> Iterator[PositionRef]:
        """Find positions that were closed, wholly or in part, for a mandate."""
        key = _key(mandate)
        for number in self.numbers:
            if self._is_ours(number, key or str(number)):
                yield PositionRef(str(number), number)

    async def record_reversals(self, closer: AccountCloser, mandate: Mandate) -> None:
        """Put on record what was closed as the reversal of one of a mandate's closes.

        Nothing is sent for what is closed; what is still open of such a position is closed.
        """
        requests = []
        for closed in self._closed_positions(mandate):
            key = _key(mandate) or closed
            for attempt in range(1, MOST_UNDOINGS + 1):
                undoing = undoing_key(key, attempt)
                requests += [
                    CloseRequest(
                        position_id=str(number),
                        ticket=number,
                        user_id=closer.user_id,
                        close_reason=f"reversal of position {closed}",
                        idempotency_key=undoing,
                        trigger_id=episode_id_of(mandate),
                    )
                    for number in self.numbers
                    if self._is_ours(number, undoing)
                ]
        if requests:
            await closer.close_each(requests)

    def _closed_positions(self, mandate: Mandate) -> list[str]:
        if _key(mandate) is None:  # each position has a key of its own
            return [str(number) for number in self.numbers]
        refs = mandate.positions
        return [refs[0].position_id] if refs else [episode_id_of(mandate)]

    def _is_ours(self, number: int, key: str) -> bool:
        tag = close_tag(close_id(self.user_id, str(number), key))
        return (number, tag) in self.tags


async def orders_of_the_dead(closer: AccountCloser, accepted_us: int) -> OurOrders:
    """Read which positions earlier lives have left, if one of them may have died over a mandate.

    All deals are read, for the broker's clock cannot be compared with ours; only for a mandate
    that an earlier life, which did not end cleanly, may have begun.

    Args:
        closer: of the account.
        accepted_us: when the mandate was accepted, wall clock.

    Raises:
        BrokerError: the deals cannot be read.
    """
    if not closer.may_continue(accepted_us):
        return OurOrders(closer.user_id)
    await closer.settled()
    deals = await closer.broker.deals_between(0, FAR_FUTURE_MS)
    ours = [d for d in deals if d.entry.is_exit and is_close_tag(d.comment)]
    return OurOrders(
        closer.user_id,
        frozenset((d.identifier, d.comment) for d in ours),
        tuple(sorted({d.identifier for d in ours})),
    )


def _key(mandate: Mandate) -> str | None:
    return mandate.key if isinstance(mandate, DirectClose) else mandate.trigger_id
