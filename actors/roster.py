"""The roster: which accounts there are, and the life that each account's actor is in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from actors.links import AccountLink, ActorLost, AuditLink, NotActivated, Stage
from actors.messages import Activated, Activation, GuardThresholds
from audit.chain import SealedRecord
from audit.receipts import OpenedStream
from audit.streams import account_owner
from engine import arguments
from engine.brokers.account_spec import AccountSpec
from engine.config import EngineConfig
from engine.errors import BrokerError, UnknownAccount

_log = logging.getLogger(__name__)

ARMED_AT_ONCE = 8
"""Actors that are started side by side; each costs half a second of CPU."""


@dataclass(slots=True)
class RosterEntry:
    """One account."""

    spec: AccountSpec
    link: AccountLink
    incarnation: int
    activated: Activated | None = None
    arming: asyncio.Lock = field(default_factory=asyncio.Lock)


class Roster:
    """Accounts and their actors: arms, re-arms and releases them."""

    def __init__(
        self,
        stage: Stage,
        audit: AuditLink,
        config: EngineConfig,
        version: str,
        keep: Callable[[Sequence[SealedRecord]], Awaitable[None]],
    ) -> None:
        """Start without accounts; ``keep`` puts records on disk."""
        self._stage = stage
        self._audit = audit
        self._config = config
        self._version = version
        self._keep = keep
        self._entries: dict[str, RosterEntry] = {}
        self._arming: set[str] = set()
        self._slots = asyncio.Semaphore(ARMED_AT_ONCE)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the user ids, in the order in which they were added."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the accounts."""
        return len(self._entries)

    def __getitem__(self, user_id: str) -> RosterEntry:
        """Return an account's entry.

        Raises:
            UnknownAccount: there is none; the message names some that there are.
        """
        entry = self._entries.get(user_id)
        if entry is None:
            raise UnknownAccount(
                f"user_id={user_id!r} is no account of this engine (it has "
                f"{len(self._entries)}: {', '.join(list(self._entries)[:5]) or 'none'}); "
                "add_account() it first"
            )
        return entry

    async def arm(self, specs: Sequence[AccountSpec]) -> list[Activated]:
        """Add accounts and start their actors, a few side by side.

        Raises:
            ValueError: an account exists already, or is named twice; nothing was added.
            BrokerError: an account's broker cannot be reached; that account was not added, the
                others were.
        """
        seen = {*self._entries, *self._arming}
        for spec in specs:
            if spec.user_id in seen:
                arguments.refuse("user_id", spec.user_id, "it exists already; remove it first")
            seen.add(spec.user_id)
        names = [spec.user_id for spec in specs]
        self._arming.update(names)
        try:
            opened = await self._audit.open_streams([account_owner(name) for name in names])
            lives = await asyncio.gather(
                *(
                    self._begin(spec, life.incarnation, self._activation(spec, life))
                    for spec, life in zip(specs, opened, strict=True)
                ),
                return_exceptions=True,
            )
        finally:
            self._arming.difference_update(names)
        for name in names:  # they were ready in another order than they were added in
            if name in self._entries:
                self._entries[name] = self._entries.pop(name)
        activated: list[Activated] = []
        troubles: list[BaseException] = []
        for life in lives:
            if isinstance(life, BaseException):
                troubles.append(life)
            else:
                activated.append(life)
        await self._keep([record for account in activated for record in account.records])
        if troubles:
            raise troubles[0]
        return activated

    async def rearm(self, user_id: str, incarnation: int) -> None:
        """Give an account whose actor was lost a new life; once, whoever noticed it.

        Args:
            user_id: the account.
            incarnation: the life that was lost; nothing is done if a newer one has begun.
        """
        entry = self[user_id]
        async with entry.arming:
            if entry.incarnation != incarnation:
                return
            _log.error("actor of account %s was lost (life %d)", user_id, incarnation)
            (opened,) = await self._audit.open_streams([account_owner(user_id)])
            link = await self._stage.start_account(user_id)
            activation = self._activation(entry.spec, opened, wait=True)
            entry.activated = await link.activate(activation)
            entry.link, entry.incarnation = link, opened.incarnation
        await self._keep(entry.activated.records)

    async def release(self, user_id: str) -> tuple[SealedRecord, ...]:
        """End an account's actor; returns its last records."""
        entry = self[user_id]
        records: tuple[SealedRecord, ...] = ()
        try:
            records = await entry.link.release()
        except (ActorLost, NotActivated, BrokerError) as error:
            _log.warning("account %s was not released cleanly: %s", user_id, error)
        await self._stage.end_account(user_id)
        self._stage.save_spec(user_id, None)
        del self._entries[user_id]
        return records

    async def _begin(
        self, spec: AccountSpec, incarnation: int, activation: Activation
    ) -> Activated:
        async with self._slots:
            link = await self._stage.start_account(spec.user_id)
            try:
                activated = await link.activate(activation)
            except Exception:
                await self._stage.end_account(spec.user_id)
                raise
        self._entries[spec.user_id] = RosterEntry(spec, link, incarnation, activated)
        self._stage.save_spec(spec.user_id, spec)
        return activated

    def _activation(
        self, spec: AccountSpec, opened: OpenedStream, wait: bool = False
    ) -> Activation:
        config, guards = self._config, self._config.guards
        return Activation(
            spec=spec,
            policy=config.closing_policy(allow_live=spec.allow_live),
            guards=GuardThresholds(
                guards.drawdown_warning,
                guards.drawdown_critical,
                guards.market_gap,
                guards.market_spread,
            ),
            opened=opened,
            version=self._version,
            config_hash=config.digest,
            poll_interval_s=config.poll_interval_s,
            wait_for_predecessor=wait or not opened.predecessor_ended_cleanly,
        )
