"""The reference model: what must be so, told from what clients asked and were answered.

It knows nothing of actors, messages, lives or faults: an engine that keeps its promises looks
like this from outside, whatever happens to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from uuid import UUID

from actors.simulation.facts import AccountSeen, CallSeen
from engine.identity import close_tag, is_close_tag
from engine.models import CloseResult
from engine.outcomes import Outcome

_DUST = 1e-6
_PROVEN = (Outcome.DONE, Outcome.PARTIAL)


class Locked(Enum):
    """What is known of an account's lock."""

    NO = "no"
    MAYBE = "maybe"
    """A locking trigger or a release is under way."""
    YES = "yes"


class Model:
    """Grows with every call; its ``check_`` methods yield what contradicts it."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.accepted: dict[str, str] = {}
        """Account of every episode that was acknowledged."""
        self.answers: dict[tuple[str, int, str], CloseResult] = {}
        """First answer of every account, ticket and key."""
        self.to_close: dict[str, set[int] | None] = {}
        """Tickets that somebody wanted closed; ``None``: all, whatever they are."""
        self.locked: dict[str, Locked] = defaultdict(lambda: Locked.NO)
        self._locking: dict[int, CallSeen] = {}
        self._last_release = -1
        self._unsure: set[str] = set()
        self._heard: set[int] = set()

    # --- what happens -----------------------------------------------------------------------

    def asked(self, call: CallSeen, tickets: tuple[int, ...] | None, *, locks: bool) -> None:
        """A client has asked for positions to be closed."""
        wanted = self.to_close.setdefault(call.user_id, set())
        if tickets is None or wanted is None:
            self.to_close[call.user_id] = None
        else:
            wanted.update(tickets)
        if locks:
            self._locking[call.number] = call
            if self.locked[call.user_id] is Locked.NO:
                self.locked[call.user_id] = Locked.MAYBE

    def release_asked(self, user_id: str, number: int) -> None:
        """An operator has asked for an account to be unlocked."""
        self._last_release = number
        if self.locked[user_id] is Locked.YES:
            self.locked[user_id] = Locked.MAYBE

    def release_ended(self, user_id: str, at_us: int, *, is_over: bool) -> None:
        """The operator was answered; not ``is_over``: the request may still unlock the account."""
        if not is_over:
            self._unsure.add(user_id)
            return
        mine = [call for call in self._locking.values() if call.user_id == user_id]
        if all(call.ended_us is not None and call.ended_us < at_us for call in mine):
            self.locked[user_id] = Locked.NO

    def hear(self, calls: list[CallSeen]) -> Iterator[str]:
        """Take up what clients were told; yield what differs from what they were told before."""
        for call in calls:
            if call.acknowledged_us is not None:
                self.accepted.setdefault(call.episode, call.user_id)
            if call.ended_us is None or call.number in self._heard:
                continue
            self._heard.add(call.number)
            is_own = call.contradicts is None and call.repeats is None
            has_locked = is_own and call.status == "ok" and call.number in self._locking
            if has_locked and call.number > self._last_release:
                self.locked[call.user_id] = Locked.YES
            for result in call.results:
                yield from self._answer(call, result)

    def _answer(self, call: CallSeen, result: CloseResult) -> Iterator[str]:
        if not result.close_id:
            return  # an entry that was refused: nothing final
        named = call.positions[0] if call.kind == "close" and call.positions else ""
        key = call.key or named or result.position_id
        name = (call.user_id, result.ticket, key)
        known = self.answers.setdefault(name, result)
        if replace(known, durable=True) != replace(result, durable=True):
            yield f"{name} was answered {known}, and then {result}"

    # --- what must be so --------------------------------------------------------------------

    def check_cause(self, account: AccountSeen) -> Iterator[str]:
        """Yield closes of ours that nobody has asked for."""
        wanted = self.to_close.get(account.user_id, set())
        for deal in account.deals:
            if wanted is None or not is_close_tag(deal.comment) or not account.is_hedging:
                continue
            if deal.identifier not in wanted:
                yield f"ticket {deal.identifier} was closed by us, and nobody asked for that"

    def check_told_closed(self, account: AccountSeen) -> Iterator[str]:
        """Yield positions that are open although their close was told a full success."""
        still_open = {p.ticket for p in account.open_positions if account.is_hedging}
        for (user_id, ticket, key), result in self.answers.items():
            is_told = user_id == account.user_id and result.is_full_success
            if is_told and ticket in still_open:
                yield f"ticket {ticket} is open, and under {key!r} it was told as closed"

    def check_told_volume(self, account: AccountSeen) -> Iterator[str]:
        """Yield closes whose volume, as told, is not what the book shows under their tag."""
        executed: dict[str, float] = defaultdict(float)
        for deal in account.deals:
            executed[deal.comment] += deal.volume
        for (user_id, ticket, key), result in self.answers.items():
            if user_id != account.user_id or result.outcome not in _PROVEN:
                continue
            volume = executed[close_tag(UUID(result.close_id))]
            is_right = abs(volume - result.volume) <= _DUST
            if not is_right and (account.is_hedging or volume < result.volume - _DUST):
                yield (
                    f"{result.outcome.value} of ticket {ticket} under {key!r} was told with "
                    f"{result.volume:g} lots, the book shows {volume:g}"
                )

    def check_lock(self, account: AccountSeen) -> Iterator[str]:
        """Yield a lock that should not be, or is not there."""
        known, is_locked = self.locked[account.user_id], account.locked_by is not None
        if account.user_id in self._unsure:
            return
        if known is not Locked.MAYBE and is_locked is not (known is Locked.YES):
            yield f"it is locked by {account.locked_by}; whether it should be: {known.value}"

    def check_accepted(self, ended: set[str]) -> Iterator[str]:
        """Yield episodes that were acknowledged and have no recorded end."""
        for episode, user_id in self.accepted.items():
            if episode not in ended:
                yield f"episode {episode} of {user_id} was accepted and never ended"
