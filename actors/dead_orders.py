"""Orders of lives that died over them: closed at the broker, and on no record.

A close tag is derived from account, position and key, so the life that goes on with a mandate can
tell from the broker's deals which of them were made for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.closing import AccountCloser
from engine.identity import close_id, close_tag
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import CloseRequest, PositionRef
from engine.predecessor import ExecutedOrders
from engine.reversal import MOST_UNDOINGS, undoing_key


@dataclass(frozen=True, slots=True)
class OurOrders:
    """What a mandate may have to take up of what was executed on its account."""

    user_id: str
    executed: ExecutedOrders = field(default_factory=ExecutedOrders)

    def closed_for(self, mandate: Mandate) -> Iterator[PositionRef]:
        """Find positions for which an order was executed on behalf of a mandate."""
        key = _key(mandate)
        for number in self._positions:
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
            for key in (self._keys(mandate) if self._positions else ())
            for undoing in undoing_keys(key)
            for number in self._positions
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
        return [str(number) for number in self._positions]

    @property
    def _positions(self) -> tuple[int, ...]:
        return self.executed.positions if self.executed.tags else ()

    def _was_executed(self, number: int, key: str) -> bool:
        # By the tag alone: on a netting account an order may have met another position.
        return close_tag(close_id(self.user_id, str(number), key)) in self.executed.tags


def undoing_keys(key: str) -> Iterator[str]:
    """Name the keys of reversals of a close under ``key``, and of reversals of those."""
    for first in range(1, MOST_UNDOINGS + 1):
        yield undoing_key(key, first)
        for second in range(1, MOST_UNDOINGS + 1):
            yield undoing_key(undoing_key(key, first), second)


async def orders_of_the_dead(closer: AccountCloser, accepted_us: int) -> OurOrders:
    """Tell which orders of earlier lives a mandate may have to take up, if one of them died.

    Args:
        closer: of the account.
        accepted_us: when the mandate was accepted, wall clock.

    Raises:
        BrokerError: the deals cannot be read.
    """
    return OurOrders(closer.user_id, await closer.executed_orders(accepted_us))


def _key(mandate: Mandate) -> str | None:
    return mandate.key if isinstance(mandate, DirectClose) else mandate.trigger_id
