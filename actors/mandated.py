"""Carrying out a mandate on one account: from what was told to which positions are closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.dead_orders import OurOrders, orders_of_the_dead
from engine.brokers.port import Broker, Position
from engine.bulk import BulkOutcome, close_now
from engine.clock import Clock, to_datetime, to_wall_us
from engine.closing import AccountCloser
from engine.errors import BrokerError, MarketClosed, WrongAccount
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import BulkCloseResult, CloseRequest, GuardTrigger, PositionRef, Severity
from engine.patience import Patience
from engine.reading import answered
from engine.sighting import Sighting


async def carry_out(
    mandate: Mandate,
    closer: AccountCloser,
    accepted_us: int,
    clock: Clock,
    postponed: Sequence[PositionRef] = (),
    *,
    concludes: bool = False,
) -> BulkOutcome:
    """Close what ``mandate`` covers, one position after another.

    Args:
        mandate: a trigger, or a direct close.
        closer: of the account.
        accepted_us: when it was accepted, wall clock. What was answered since then was open at
            that moment: a mandate over all open positions covers it, too, whoever closed it.
        clock: dates results.
        postponed: positions that waited for their market when it was last carried out: a part of
            them may be closed, whoever has closed the rest.
        concludes: whether nothing more is sent: what was begun ends as it is.

    Raises:
        BrokerError: the mandate covers all open positions and they cannot be read, or it cannot be
            read what lives that died have closed for it.
        IdempotencyConflict: a direct close of one position conflicts with an earlier one.
        ValueError: the same, by its names.
        LeaseLost: this life may not send any more.
    """
    what = (mandate, closer, accepted_us, clock, postponed)
    try:
        orders = await orders_of_the_dead(closer, accepted_us)
    except BrokerError:
        if closer.may_continue(accepted_us):
            raise
        # It is hardly theirs: what is open does not wait for the history to be readable.
        done = await _carry_out(*what, OurOrders(closer.user_id), concludes=concludes)
        if done.waiting:
            return done  # it comes again, and asks again
        raise
    return await _carry_out(*what, orders, concludes=concludes)


async def _carry_out(
    mandate: Mandate,
    closer: AccountCloser,
    accepted_us: int,
    clock: Clock,
    postponed: Sequence[PositionRef],
    orders: OurOrders,
    *,
    concludes: bool,
) -> BulkOutcome:
    await orders.record_reversals(closer, mandate)
    begun = (*orders.closed_for(mandate), *postponed)
    if isinstance(mandate, GuardTrigger):
        refs = mandate.positions
        if refs is None:
            is_open = () if concludes else await closer.open_positions()
            refs = _covered(closer, mandate, accepted_us, begun, is_open)
        return await close_now(
            closer,
            [{"position_id": ref.position_id, "ticket": ref.ticket} for ref in refs],
            close_reason=f"{mandate.guard.value}: {mandate.reason}",
            key=mandate.trigger_id,
            initiator=mandate.guard.value,
            trigger_id=mandate.trigger_id,
            clock=clock,
            concludes=concludes,
        )
    refs = mandate.positions
    if refs is not None and not mandate.is_bulk:
        (ref,) = refs
        return await _close_one(mandate, ref, closer)
    if refs is None:
        refs = _covered(closer, mandate, accepted_us, begun, await closer.open_positions())
    return await close_now(
        closer,
        [{"position_id": ref.position_id, "ticket": ref.ticket} for ref in refs],
        close_reason=mandate.reason,
        key=mandate.key,
        initiator=mandate.initiator,
        trigger_id=mandate.episode_id,
        clock=clock,
        volume=mandate.volume,
        close_price=mandate.close_price,
    )


def _covered(
    closer: AccountCloser,
    mandate: Mandate,
    accepted_us: int,
    begun: Sequence[PositionRef],
    is_open: Sequence[Position],
) -> tuple[PositionRef, ...]:
    """Return what is open, and what was open when the mandate was accepted."""
    found = {p.ticket: PositionRef(p.position_id, p.ticket) for p in is_open}
    for ref in (
        *closer.memory.refs_under(episode_id_of(mandate)),
        *closer.memory.answered_since(to_datetime(accepted_us)),
        *begun,
    ):
        found.setdefault(ref.ticket, ref)
    return tuple(found.values())


async def _close_one(mandate: DirectClose, ref: PositionRef, closer: AccountCloser) -> BulkOutcome:
    request = CloseRequest(
        position_id=ref.position_id,
        ticket=ref.ticket,
        user_id=mandate.user_id,
        close_reason=mandate.reason,
        close_price=mandate.close_price,
        volume=mandate.volume,
        idempotency_key=mandate.key or "",
        initiator=mandate.initiator,
        trigger_id=mandate.episode_id,
    )
    try:
        result = await closer.close(request)
    except MarketClosed as closed:
        return BulkOutcome(BulkCloseResult.of(mandate.reason, ()), (closed,))
    return BulkOutcome(BulkCloseResult.of(mandate.reason, (result,)), ())


def refusals_in(results: BulkCloseResult) -> tuple[Mapping[str, Any], ...]:
    """Return what was refused, in order, as plain data: no record of a close holds it."""
    return tuple(
        {
            "position_id": refused.position_id,
            "ticket": refused.ticket,
            "error": refused.error_message or "",
            "at_us": to_wall_us(refused.close_timestamp),
        }
        for refused in results.results
        if not refused.close_id
    )


def makes_flat(mandate: Mandate) -> bool:
    """Whether a mandate is to make a whole account flat, and to keep it so."""
    return (
        isinstance(mandate, GuardTrigger)
        and mandate.severity is Severity.CRITICAL
        and mandate.positions is None
    )


def initiator_of(mandate: Mandate) -> str:
    """Name the guard or person behind a mandate."""
    return mandate.initiator if isinstance(mandate, DirectClose) else mandate.guard.value


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """What a last read of a whole account has shown."""

    seen: Sighting | None = None
    """``None``: the scope was not all positions, or the broker did not answer."""
    count: int | None = None
    """Positions that a trigger was to close and that are open."""
    trouble: str | None = None
    """Why nobody knows the count, if it matters."""


async def left_open(
    mandate: Mandate, broker: Broker, clock: Clock, patience: Patience, within_s: float
) -> LeftOpen:
    """Read what is left of a whole account; or say why nobody knows.

    After a trigger the count matters, and is asked for again for ``within_s`` seconds. After a
    direct close of all positions it is for the record only, and so is the account's state.
    """
    if mandate.positions is not None:
        return LeftOpen()
    counts = isinstance(mandate, GuardTrigger)
    try:
        positions = await answered(broker.positions, patience, within_s if counts else 0.0)
    except BrokerError as error:
        text = f"whether anything is still open could not be read: {error}"
        return LeftOpen(trouble=text if counts else None)
    at_us = clock.wall_us()
    count = len(positions) if counts else None
    try:
        account = await broker.account()
    except WrongAccount:
        return LeftOpen(count=count)  # what was read may be a stranger's
    except BrokerError:
        account = None
    return LeftOpen(Sighting(at_us, account, positions), count)
