"""What the venue's book shows: positions, deals, and the requests that reached it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from audit.history.events import EXACT

Side = Literal["long", "short"]


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """``position``: a position that was ever open. Its lots are in its deals."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    user_id: str
    identifier: int
    """The venue's stable number; deals and requests refer to it."""
    symbol: str
    side: Side
    """The side it was opened on."""
    mode: Literal["hedging", "netting"]
    """On a netting account an order can turn a position around, and no ticket prevents it."""
    aliases: tuple[str, ...] = ()
    """Other names that calls, results and records use for it: a caller's own name, a ticket that
    changed. The identifier's digits always name it, unless they are another's alias."""
    open_volume: float | None = None
    """Lots open at the end, as the venue lists them; ``None``: take what the deals leave."""


@dataclass(frozen=True, slots=True)
class VenueDeal:
    """``deal``: one execution."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    user_id: str
    ticket: int
    identifier: int
    """The position it belongs to."""
    entry: Literal["in", "out", "inout", "out_by"]
    side: Side
    """Direction of the deal: a long position is left by a short deal."""
    volume: float
    price: float
    time_us: int
    """When, as the venue counts; together with the ticket it orders an account's deals."""
    order: int = 0
    comment: str = ""
    """The close tag, if the deal came from one of our orders."""
    who: Literal["expert", "by hand", "stop loss", "take profit", "stop-out", "other"] = "other"
    result: float | None = None
    """What it did to the balance: profit, commission, swap and fee; ``None``: not known."""
    arrived_us: int | None = None
    """When the request for it reached the venue, on the history's clock."""
    executed_us: int | None = None
    """When it was executed, on the history's clock; ``None``: not known, so only the order of
    deals is judged and not their place among the calls."""

    @property
    def sign(self) -> int:
        """+1 for a purchase."""
        return 1 if self.side == "long" else -1


@dataclass(frozen=True, slots=True)
class VenueRequest:
    """``request``: a close that reached the venue, whatever became of it."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    user_id: str
    ticket: int
    tag: str
    volume: float
    """Lots asked for."""
    arrived_us: int
    answered_us: int | None = None
    """When the answer left the venue; ``None``: it never did."""
    executed_us: int | None = None
    """When it was executed (the last time, if in parts); ``None``: it never was."""
    executed_volume: float = 0.0
    conclusive: bool = True
    """Whether the answer says what became of the request; a time-out or "accepted" does not."""
    sent_us: int | None = None
    """When it left the sender, if known: the settle window runs from then, else from arrival."""
    identifier: int | None = None
    """The position it was for, if not the one with the ticket's number."""
    read_us: int | None = None
    """When the venue gave its sender the lots it is for; ``None``: not known, so it is taken to
    have been shortly before it left."""
    sender: str | None = None
    """The process that sent it; ``None``: not known, so it may be any."""

    @property
    def left_us(self) -> int:
        """When it left the sender, as far as known."""
        return self.arrived_us if self.sent_us is None else self.sent_us

    @property
    def in_flight_until_us(self) -> int | None:
        """When the venue was done with it; ``None`` if only the settle window ends it."""
        if self.executed_us is not None:
            return max(self.executed_us, self.answered_us or self.executed_us)
        return self.answered_us if self.conclusive else None
