"""Mandates: what an episode has been told to do, by a trigger or by a direct call.

A direct close is an episode like a trigger's: accepted on disk, finished after any restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from engine import arguments
from engine.models import GuardTrigger, GuardType, PositionRef


@dataclass(frozen=True, slots=True)
class DirectClose:
    """A close that somebody asked for directly, of one position or of several.

    Args:
        episode_id: names the episode; each call is one of its own, its repetitions are not.
        user_id: the account.
        reason: why, for the record.
        positions: which; ``None`` is all that are open.
        key: idempotency key of every position; ``None``: each position's own ``position_id``.
        volume: lots to close of each; ``None`` is all that is open.
        close_price: price asked for; counts on instant execution, otherwise only recorded.
        initiator: the guard or person behind it.
        is_bulk: whether a conflict is a failed result among others, and not the call's error.

    Raises:
        ValueError: naming the field and the value.
    """

    episode_id: str
    user_id: str
    reason: str
    positions: tuple[PositionRef, ...] | None
    key: str | None = None
    volume: float | None = None
    close_price: float | None = None
    initiator: str = GuardType.OPERATOR.value
    is_bulk: bool = False

    def __post_init__(self) -> None:
        """Refuse what no account could act on."""
        arguments.nonempty_text("episode_id", self.episode_id)
        arguments.nonempty_text("user_id", self.user_id)
        arguments.nonempty_text("reason", self.reason)
        arguments.nonempty_text("initiator", self.initiator)
        if self.key is not None:
            arguments.nonempty_text("idempotency_key", self.key)
        if self.volume is not None:
            arguments.positive_number("volume", self.volume)
        if self.close_price is not None:
            arguments.positive_number("close_price", self.close_price)
        if self.positions is not None:
            object.__setattr__(self, "positions", tuple(self.positions))


Mandate: TypeAlias = GuardTrigger | DirectClose


def episode_id_of(mandate: Mandate) -> str:
    """Name the episode that a mandate opens: a trigger's id, or a direct close's own."""
    return mandate.trigger_id if isinstance(mandate, GuardTrigger) else mandate.episode_id
