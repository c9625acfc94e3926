"""Orders of lives that died over them: closed at the broker, and on no record.

A close tag is derived from account, position and key, so the life that goes on with a mandate can
tell from the broker's deals which of them were made for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.closing import AccountCloser
from engine.identity import close_id, close_tag, is_close_tag
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import CloseRequest, PositionRef
from engine.reversal import MOST_UNDOINGS, undoing_key


@dataclass(frozen=True, slots=True)
class OurOrders:
    """The close tags that an account's deals carry, and the positions that it ever had."""

    user_id: str
    tags: frozenset[str] = frozenset()
    positions: tuple[int, ...] = ()
    """Their identifiers, ascending."""

    def closed_for(self, mandate: Mandate) -> Iterator[PositionRef]:
        """Find positions for which an order was executed on behalf of a mandate."""
        key = _key(mandate)
        for number in self.positions if self.tags else ():
            if self._was_executed(number, key or str(number)):
                yield PositionRef(str(number), number)

    async def record_reversals(self, closer: AccountCloser, mandate: Mandate) -> None:
        """Put on record what was closed as the reversal of one of a mandate's closes.

        Nothing is sent for what is closed; what is still open of such a position is closed.
        """
        requests = [
            CloseRequest(
                position_id=str(number),
                ticket=number,
                user_id=closer.user_id,
                close_reason=f"reversal under key {key}",
                idempotency_key=undoing,
                trigger_id=episode_id_of(mandate),
            )
            for key in (self._keys(mandate) if self.tags else ())
            for undoing in undoing_keys(key)
            for number in self.positions
            if self._was_executed(number, undoing)
        ]
        if requests:
            await closer.close_each(requests)

    def _keys(self, mandate: Mandate) -> list[str]:
        key = _key(mandate)
        if key is not None:
            return [key]
        # Each position has a key of its own: its name.
        if mandate.positions is not None:
            return [ref.position_id for ref in mandate.positions]
        return [str(number) for number in self.positions]

    def _was_executed(self, number: int, key: str) -> bool:
        # By the tag alone: on a netting account an order may have met another position.
        return close_tag(close_id(self.user_id, str(number), key)) in self.tags


def undoing_keys(key: str) -> Iterator[str]:
    """Name the keys of reversals of a close under ``key``, and of reversals of those."""
    for first in range(1, MOST_UNDOINGS + 1):
        yield undoing_key(key, first)
        for second in range(1, MOST_UNDOINGS + 1):
            yield undoing_key(undoing_key(key, first), second)


async def orders_of_the_dead(closer: AccountCloser, accepted_us: int) -> OurOrders:
    """Read which orders earlier lives have sent, if one of them may have died over a mandate.

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
    deals = await closer.all_deals()
    return OurOrders(
        closer.user_id,
        frozenset(d.comment for d in deals if is_close_tag(d.comment)),
        tuple(sorted({d.identifier for d in deals if d.identifier})),
    )


def _key(mandate: Mandate) -> str | None:
    return mandate.key if isinstance(mandate, DirectClose) else mandate.trigger_id
