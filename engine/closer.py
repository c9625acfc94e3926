"""The position closer: the call shapes that a platform uses, over any number of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from engine import arguments
from engine.brokers.port import Broker
from engine.clock import Clock, SystemClock, to_datetime
from engine.closing import AccountCloser
from engine.collecting import CloseLedger
from engine.concluding import refused_entry
from engine.errors import UnknownAccount
from engine.models import (
    BulkCloseResult,
    CloseRequest,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
)
from engine.policy import ClosingPolicy
from engine.requests import full_close, partial_close, position_entries, triggered_close


class PositionCloser:
    """Closes positions, each exactly once, on the accounts that were attached to it.

    Every account is serial in itself and independent of the others. Failures of the broker are
    results (``success=False``, ``error_message``); only bad arguments raise.

    Args:
        clock: time; the system's by default.
        random: randomness for jitter.
        policy: limits, for accounts that bring none of their own.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        policy: ClosingPolicy | None = None,
    ) -> None:
        """Start without accounts."""
        self._clock = clock or SystemClock()
        self._random = random or Random()
        self._policy = policy or ClosingPolicy()
        self._accounts: dict[str, AccountCloser] = {}

    def attach(
        self,
        user_id: str,
        broker: Broker,
        *,
        policy: ClosingPolicy | None = None,
        ledger: CloseLedger | None = None,
    ) -> AccountCloser:
        """Take charge of an account.

        Raises:
            ValueError: the account is attached already.
        """
        arguments.nonempty_text("user_id", user_id)
        if user_id in self._accounts:
            arguments.refuse("user_id", user_id, "it is attached already; detach it first")
        account = AccountCloser(
            user_id,
            broker,
            clock=self._clock,
            random=self._random,
            policy=policy or self._policy,
            ledger=ledger,
        )
        self._accounts[user_id] = account
        return account

    def detach(self, user_id: str) -> None:
        """Let go of an account; its idempotency map goes with it."""
        self._account(user_id)
        del self._accounts[user_id]

    async def close_position(
        self,
        position_id: str,
        ticket: int,
        user_id: str,
        close_reason: str,
        close_price: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close all that is open of one position.

        Args:
            position_id: the caller's name of it, bound to the broker's identifier at first sight.
            ticket: the broker's number of it now.
            user_id: the account.
            close_reason: why.
            close_price: price asked for; counts on instant execution, otherwise only recorded.
            idempotency_key: the same position and key get the identical result; defaults to
                ``position_id``.

        Raises:
            ValueError: a bad argument, named with its value.
            UnknownAccount: no such account.
            IdempotencyConflict: the key was used for another ticket or volume.
        """
        request = full_close(
            position_id, ticket, user_id, close_reason, close_price, idempotency_key
        )
        return await self._account(user_id).close(request)

    async def close_partial(
        self,
        position_id: str,
        ticket: int,
        user_id: str,
        volume: float,
        close_reason: str,
        close_price: float | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close ``volume`` lots of a position, rounded down to the symbol's step.

        The key defaults to position and volume, so that a later full close of the position is
        a request of its own. Done as asked is ``success`` with outcome ``PARTIAL``, or ``DONE``
        if nothing of the position is left.

        Raises:
            ValueError: a bad argument, named with its value.
            UnknownAccount: no such account.
            IdempotencyConflict: the key was used for another ticket or volume.
        """
        request = partial_close(
            position_id, ticket, user_id, volume, close_reason, close_price, idempotency_key
        )
        return await self._account(user_id).close(request)

    async def close_all_positions(
        self,
        user_id: str,
        close_reason: str,
        positions: Sequence[Mapping[str, Any]] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> BulkCloseResult:
        """Close the given positions, or all that are open, one after another.

        Args:
            user_id: the account.
            close_reason: why.
            positions: ``[{"position_id": ..., "ticket": ...}, ...]``; an empty list closes
                nothing, ``None`` all that is open. An invalid entry is a failed result of its
                own.
            idempotency_key: one key for all; defaults to each position's ``position_id``.

        Raises:
            ValueError: a bad ``user_id``, ``close_reason`` or key.
            UnknownAccount: no such account.
            BrokerError: ``positions`` is ``None`` and the open ones cannot be read.
        """
        arguments.nonempty_text("user_id", user_id)
        arguments.nonempty_text("close_reason", close_reason)
        if idempotency_key is not None:
            arguments.nonempty_text("idempotency_key", idempotency_key)
        account = self._account(user_id)
        return await close_bulk(
            account,
            positions,
            close_reason=close_reason,
            key=idempotency_key,
            initiator=GuardType.OPERATOR.value,
            clock=self._clock,
        )

    async def close_position_if_triggered(
        self,
        position_id: str,
        trigger_reason: str,
        guard_type: str,
        user_id: str,
        position_data: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> CloseResult:
        """Close one position because a guard has tripped.

        Args:
            position_id: the caller's name of it.
            trigger_reason: why the guard tripped.
            guard_type: who tripped, a :class:`GuardType`.
            user_id: the account.
            position_data: must hold ``"ticket"``.
            idempotency_key: defaults to ``position_id``.

        Raises:
            ValueError: a bad argument, named with its value.
            UnknownAccount: no such account.
            IdempotencyConflict: the key was used for another ticket or volume.
        """
        request = triggered_close(
            position_id, trigger_reason, guard_type, user_id, position_data, idempotency_key
        )
        return await self._account(user_id).close(request)

    async def liquidate(self, trigger: GuardTrigger) -> BulkCloseResult:
        """Close what a trigger covers, under the trigger's own key.

        Raises:
            UnknownAccount: no such account.
            BrokerError: the trigger covers all open positions and they cannot be read.
        """
        return await liquidate(self._account(trigger.user_id), trigger, self._clock)

    def _account(self, user_id: str) -> AccountCloser:
        arguments.nonempty_text("user_id", user_id)
        account = self._accounts.get(user_id)
        if account is None:
            known = ", ".join(sorted(self._accounts)[:10]) or "none"
            raise UnknownAccount(
                f"user_id={user_id!r} is not attached (attached: {known}); attach() it first"
            )
        return account


async def liquidate(account: AccountCloser, trigger: GuardTrigger, clock: Clock) -> BulkCloseResult:
    """Close what ``trigger`` covers on ``account``, under the trigger's own key.

    Raises:
        BrokerError: the trigger covers all open positions and they cannot be read.
    """
    return await close_bulk(
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


async def close_bulk(
    account: AccountCloser,
    positions: Sequence[Mapping[str, Any]] | None,
    *,
    close_reason: str,
    key: str | None,
    initiator: str,
    clock: Clock,
    trigger_id: str = "",
) -> BulkCloseResult:
    """Close given positions, or all open ones, of one account; see ``close_all_positions``."""
    broken: list[CloseResult] = []
    entries = position_entries(positions)
    if entries is None:
        refs = [PositionRef(p.position_id, p.ticket) for p in await account.open_positions()]
    else:
        refs = []
        for entry in entries:
            try:
                refs.append(_ref(entry))
            except ValueError as error:
                fields = entry if isinstance(entry, Mapping) else {}
                broken.append(
                    refused_entry(
                        fields.get("position_id"),
                        fields.get("ticket"),
                        close_reason,
                        error=str(error),
                        now=to_datetime(clock.wall_us()),
                    )
                )
        refs = await account.in_order(refs)
    requests: Iterable[CloseRequest] = (
        CloseRequest(
            position_id=ref.position_id,
            ticket=ref.ticket,
            user_id=account.user_id,
            close_reason=close_reason,
            idempotency_key=key or ref.position_id,
            initiator=initiator,
            trigger_id=trigger_id,
        )
        for ref in refs
    )
    return BulkCloseResult.of(close_reason, [*await account.close_each(requests), *broken])


def _ref(entry: Any) -> PositionRef:
    if not isinstance(entry, Mapping):
        arguments.refuse("positions", entry, "its items must hold 'position_id' and 'ticket'")
    return PositionRef(
        arguments.nonempty_text("position_id", entry.get("position_id")),
        arguments.positive_integer("ticket", entry.get("ticket")),
    )


@cache
def get_position_closer() -> PositionCloser:
    """Return the process's one closer, on the system's clock, with the default policy."""
    return PositionCloser()
