"""The position closer: the call shapes that a platform uses, over any number of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from engine import arguments
from engine.brokers.port import Broker
from engine.bulk import close_now, liquidate_now
from engine.clock import Clock, SystemClock
from engine.closing import AccountCloser
from engine.collecting import CloseLedger
from engine.errors import UnknownAccount
from engine.models import BulkCloseResult, CloseResult, GuardTrigger, GuardType
from engine.policy import ClosingPolicy
from engine.requests import full_close, partial_close, triggered_close


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

    A position whose market is closed is a failed result; see :func:`engine.bulk.liquidate_now`.

    Raises:
        BrokerError: the trigger covers all open positions and they cannot be read.
        LeaseLost: this life may not send any more.
    """
    return (await liquidate_now(account, trigger, clock)).with_waiting(clock)


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
    """Close given positions, or all open ones, of one account; see ``close_all_positions``.

    A position whose market is closed is a failed result; see :func:`engine.bulk.close_now`.
    """
    outcome = await close_now(
        account,
        positions,
        close_reason=close_reason,
        key=key,
        initiator=initiator,
        clock=clock,
        trigger_id=trigger_id,
    )
    return outcome.with_waiting(clock)


@cache
def get_position_closer() -> PositionCloser:
    """Return the process's one closer, on the system's clock, with the default policy."""
    return PositionCloser()
