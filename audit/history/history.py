"""A whole history in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from audit.history.book import VenueDeal, VenuePosition, VenueRequest
from audit.history.events import Completion, FinalRecord, Header, Invocation

Event = Header | Invocation | Completion | VenuePosition | VenueDeal | VenueRequest | FinalRecord
"""One line of a history."""


@dataclass(frozen=True, slots=True)
class History:
    """All lines of a history, by kind; the order of lines within a kind does not matter."""

    header: Header = field(default_factory=Header)
    invocations: tuple[Invocation, ...] = ()
    completions: tuple[Completion, ...] = ()
    positions: tuple[VenuePosition, ...] = ()
    deals: tuple[VenueDeal, ...] = ()
    requests: tuple[VenueRequest, ...] = ()
    records: tuple[FinalRecord, ...] = ()

    @classmethod
    def of(cls, events: list[Event]) -> History:
        """Sort lines by kind.

        Raises:
            ValueError: a call is invoked or completed twice, completed without being invoked,
                or before; or a position is listed twice. The message says which.
        """
        headers = [event for event in events if isinstance(event, Header)]
        history = cls(
            header=headers[0] if headers else Header(),
            invocations=tuple(e for e in events if isinstance(e, Invocation)),
            completions=tuple(e for e in events if isinstance(e, Completion)),
            positions=tuple(e for e in events if isinstance(e, VenuePosition)),
            deals=tuple(e for e in events if isinstance(e, VenueDeal)),
            requests=tuple(e for e in events if isinstance(e, VenueRequest)),
            records=tuple(e for e in events if isinstance(e, FinalRecord)),
        )
        history.refuse_contradictions()
        return history

    def refuse_contradictions(self) -> None:
        """Refuse what cannot have been observed.

        Raises:
            ValueError: see :meth:`of`.
        """
        invoked: dict[str, int] = {}
        for call in self.invocations:
            if call.call in invoked:
                raise ValueError(
                    f"call={call.call!r} is invoked twice; give each call a name of its own "
                    "(a repeated call shares the key, not the name)"
                )
            invoked[call.call] = call.invoked_us
        completed: set[str] = set()
        for end in self.completions:
            if end.call not in invoked:
                raise ValueError(f"call={end.call!r} is completed but never invoked")
            if end.call in completed:
                raise ValueError(f"call={end.call!r} is completed twice")
            if end.completed_us < invoked[end.call]:
                raise ValueError(
                    f"completed_us={end.completed_us} of call={end.call!r} is before its "
                    f"invoked_us={invoked[end.call]}"
                )
            completed.add(end.call)
        listed: set[tuple[str, int]] = set()
        for position in self.positions:
            name = position.user_id, position.identifier
            if name in listed:
                raise ValueError(f"identifier={name[1]} of user_id={name[0]!r} is listed twice")
            listed.add(name)
