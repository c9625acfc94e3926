"""Reconciling a running engine: brokers' deals are read while nothing is closed, and compared.

Closing comes first. An account is read only while no episode of it is open, one bounded page at a
time, with pauses: what is to be closed meanwhile waits for one page at most, and makes the whole
look begin anew. Reading takes at most a tenth of the requests that a broker's server is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from actors.episodes import Episodes
from actors.links import AuditLink
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.chain import ChainWriter
from audit.differences import AccountReconciled, difference_record
from engine.brokers.port import FAR_FUTURE_MS, Deal
from engine.clock import Clock
from engine.config import EngineConfig
from engine.errors import RiskEngineError

LONGEST_S = 300.0
"""For one account: waiting for peace, and reading."""

PEACE_PAUSE_S = 0.5
"""Between two looks whether an account's episodes have ended."""

PAGE_PAUSE_S = 0.05
"""Between two pages, if the broker's server has no budget."""

SHARE_OF_BUDGET = 0.1
"""Part of a broker server's budget of requests that pages may take."""

_DAY_MS = 86_400_000
FIRST_SPAN_MS = _DAY_MS
LONGEST_SPAN_MS = 365 * _DAY_MS
SHORTEST_SPAN_MS = 3_600_000
"""Of broker time, in one page. A page with few deals makes the next one longer."""

FEW_DEALS, MANY_DEALS = 500, 2_000

MOST_DEALS = 500_000
"""Of one account; more are not held in memory."""


class NoPeace(RiskEngineError):
    """The account had something to close all the time."""


class TooManyDeals(RiskEngineError):
    """An account has more deals since the engine's first record than are held in memory."""


class Reconciler:
    """Reconciles accounts, one after another.

    Args:
        roster: reads deals.
        episodes: tells when an account is left in peace.
        outbox: puts differences on disk.
        clock: time.
        audit: compares.
        chain: of the supervisor's stream.
        config: the budget of requests.
    """

    def __init__(
        self,
        roster: Roster,
        episodes: Episodes,
        outbox: AuditOutbox,
        clock: Clock,
        audit: AuditLink,
        chain: ChainWriter,
        config: EngineConfig,
    ) -> None:
        """Begin with nothing to do."""
        self._roster = roster
        self._episodes = episodes
        self._outbox = outbox
        self._clock = clock
        self._audit = audit
        self._chain = chain
        budget = config.orders_per_s
        self._pause_s = PAGE_PAUSE_S if budget is None else 1.0 / (budget * SHARE_OF_BUDGET)
        self._turn = asyncio.Lock()

    async def reconcile(self, user_ids: Sequence[str]) -> list[AccountReconciled]:
        """Compare the records of accounts with their brokers' deals, and record what differs.

        An account that could not be done is reported with an error, and stops no other.

        Raises:
            UnknownAccount: one of them is not there; nothing was done.
        """
        for user_id in user_ids:
            self._roster[user_id]
        async with self._turn:  # a difference that two runs find is put on record by one
            return [await self._account(user_id) for user_id in user_ids]

    async def _account(self, user_id: str) -> AccountReconciled:
        try:
            async with asyncio.timeout(LONGEST_S):
                report = None
                while report is None:
                    report = await self._undisturbed(user_id)
                await self._record(report)
                return report
        except TimeoutError:
            trouble = (
                f"it was not done within {LONGEST_S:g} s: the account was busy, or its broker or "
                "the audit did not answer; try again when its episodes have ended"
            )
        except (RiskEngineError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}"
        return AccountReconciled(user_id, error=trouble)

    async def _undisturbed(self, user_id: str) -> AccountReconciled | None:
        """Read and compare; ``None`` if something was to be closed in between."""
        while self._episodes.open_on(user_id):
            if self._episodes.waiting_positions(user_id) is not None:
                raise NoPeace(
                    f"account {user_id!r} waits for a market to open, to close what is left: "
                    "reconcile it when that episode has ended"
                )
            await self._clock.sleep(PEACE_PAUSE_S)
        newest = self._episodes.newest_on(user_id)
        await self._outbox.drained()
        since_ms = await self._audit.deals_matter_since(user_id)
        if since_ms is None:
            return AccountReconciled(user_id)
        deals = await self._deals(user_id, since_ms, newest)
        if deals is None:
            return None
        report = await self._audit.reconciled(user_id, deals)
        return report if self._is_quiet(user_id, newest) else None

    async def _deals(self, user_id: str, since_ms: int, newest: str | None) -> list[Deal] | None:
        found: dict[int, Deal] = {}
        span_ms = FIRST_SPAN_MS
        # A broker's clock may be ahead of ours; what is later still fits into one last page.
        nearly_all_ms = self._clock.wall_us() // 1000 + 2 * _DAY_MS
        begin_ms = since_ms
        while begin_ms < FAR_FUTURE_MS:
            if not self._is_quiet(user_id, newest):
                return None
            end_ms = begin_ms + span_ms if begin_ms < nearly_all_ms else FAR_FUTURE_MS
            page = await self._page(user_id, begin_ms, end_ms)
            found.update((deal.ticket, deal) for deal in page)
            if len(found) > MOST_DEALS:
                raise TooManyDeals(
                    f"account {user_id!r} has more than {MOST_DEALS:,} deals since "
                    f"{since_ms} ms of its broker's time: compare its books in another way"
                )
            if len(page) < FEW_DEALS:
                span_ms = min(LONGEST_SPAN_MS, span_ms * 2)
            elif len(page) > MANY_DEALS:
                span_ms = max(SHORTEST_SPAN_MS, span_ms // 2)
            begin_ms = end_ms
            await self._clock.sleep(self._pause_s)
        return sorted(found.values(), key=lambda deal: (deal.time_ms, deal.ticket))

    async def _page(self, user_id: str, since_ms: int, until_ms: int) -> Sequence[Deal]:
        page = await self._roster.call_again(
            user_id, lambda link, term: link.deals(term, since_ms, until_ms)
        )
        return page.deals

    def _is_quiet(self, user_id: str, newest: str | None) -> bool:
        is_newest = self._episodes.newest_on(user_id) == newest
        return is_newest and not self._episodes.open_on(user_id)

    async def _record(self, report: AccountReconciled) -> None:
        now = self._clock.wall_us()
        fresh = [
            self._chain.seal(difference_record(one, occurred_at=now))
            for one in report.differences
            if one.is_new
        ]
        if fresh:
            await self._outbox.append(fresh)
