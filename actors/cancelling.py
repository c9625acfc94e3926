"""Cancelling: before an account is made flat, nothing may open a position any more."""

from __future__ import annotations

import logging

from actors.mandated import makes_flat
from audit.events import pending_cancelled
from audit.records import AuditRecord
from engine.brokers.port import Broker
from engine.clock import Clock
from engine.lease import Permit
from engine.mandates import Mandate, episode_id_of
from engine.pace import Pace
from engine.patience import Patience
from engine.pending import cancel_pending
from engine.policy import ClosingPolicy
from engine.reading import answered

_log = logging.getLogger(__name__)


async def cancel_pending_first(
    mandate: Mandate,
    broker: Broker,
    permit: Permit,
    patience: Patience,
    pace: Pace,
    policy: ClosingPolicy,
    clock: Clock,
) -> list[AuditRecord]:
    """Cancel an account's pending orders if ``mandate`` is to make it flat.

    Args:
        mandate: what is about to be carried out.
        broker: of the account.
        permit: asked before every request.
        patience: how long to pause between two tries.
        pace: spaces requests.
        policy: whether orders may be sent, and for how long an order is tried.
        clock: dates the records.

    Returns:
        A record for each order, cancelled or left.

    Raises:
        BrokerError: the account cannot be read.
        LeaseLost: this life may not send any more.
    """
    if not makes_flat(mandate) or not policy.sends_orders:
        return []
    account = await answered(broker.account, patience, policy.deal_lag_s)
    if account.is_real and not policy.allow_live:
        return []  # nothing is sent; every close says so
    report = await cancel_pending(broker, permit, patience, within_s=policy.deal_lag_s, pace=pace)
    if report.unread is not None:
        _log.error("pending orders of %s are unknown: %s", mandate.user_id, report.unread)
    orders = [*((order, "") for order in report.cancelled), *report.left]
    now_us = clock.wall_us()
    return [
        pending_cancelled(
            mandate.user_id,
            order,
            trigger_id=episode_id_of(mandate),
            occurred_at=now_us,
            trouble=why,
        )
        for order, why in orders
    ]
