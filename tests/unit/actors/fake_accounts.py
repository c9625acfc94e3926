"""A roster over fake actors and a fake audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, cast

from actors.links import ActorLost, AuditLink, Stage
from actors.messages import Activated, Activation, LifeSign, Term
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.chain import SealedRecord
from audit.receipts import AccountHistory, AppendReceipt, OpenedStream
from engine.brokers.account_spec import AccountSpec
from engine.clock import Clock
from engine.config import EngineConfig
from engine.patience import Patience
from tests.virtual_time import VirtualClock

LEASE_S = 20.0


def spec(user_id: str) -> AccountSpec:
    return AccountSpec(user_id=user_id, broker="tests.unit.actors.fake_accounts:unused")


class Account:
    """An account actor that does what a test says."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.activations: list[Activation] = []
        self.sign: LifeSign | None = None
        self.server = "Server-1"
        self.asks_at = 0.0
        """What its own clock shows."""
        self.process: str | None = None
        """Where all its lives are; each has a process of its own unless said."""
        self.holds: tuple[SealedRecord, ...] = ()
        """What a new life says that it holds."""
        self.loses_reply = False
        self.during_activation: Callable[[], Awaitable[None]] | None = None

    async def activate(self, activation: Activation) -> Activated:
        if self.during_activation is not None:
            await self.during_activation()
        self.activations.append(activation)
        life = activation.opened.incarnation
        process = self.process or f"process-{self.user_id}-{life}"
        self.sign = LifeSign(life, activation.config_hash, self.asks_at, self.server, process)
        if self.loses_reply:
            raise ActorLost("the reply was lost")
        return Activated(
            self.user_id, 7, self.server, "USD", 0, 1, self.holds, self.asks_at, process
        )

    async def life(self) -> LifeSign | None:
        return self.sign

    async def release(self) -> tuple[SealedRecord, ...]:
        return ()

    @property
    def lives(self) -> list[int]:
        return [activation.opened.incarnation for activation in self.activations]


class Audit:
    """Numbers lives and takes every record."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.ended_cleanly = False
        self.processes: dict[str, str] = {}
        """Of each owner's newest life, as far as its record arrived."""

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        return AppendReceipt(frozenset(record.event_id for record in batch))

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        for owner in owners:
            self.newest[owner] = self.newest.get(owner, 0) + 1
        return tuple(
            OpenedStream(
                f"{owner}:{self.newest[owner]}",
                self.newest[owner],
                None,
                self.ended_cleanly or self.newest[owner] == 1,
                self.processes.pop(owner, None),
            )
            for owner in owners
        )

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        return tuple(AccountHistory(user_id, (), True) for user_id in user_ids)


class Accounts:
    """A stage of fakes."""

    def __init__(self) -> None:
        self.actors: dict[str, Account] = {}
        self.killed: list[str] = []
        self.ended: list[str] = []
        self.specs: dict[str, object] = {}

    async def start_account(self, user_id: str) -> Account:
        return self.actors.setdefault(user_id, Account(user_id))

    async def kill_account(self, user_id: str) -> None:
        self.killed.append(user_id)

    async def end_account(self, user_id: str) -> None:
        self.ended.append(user_id)

    def save_spec(self, user_id: str, spec: object | None) -> None:
        self.specs[user_id] = spec


class Bench:
    """A roster over fakes."""

    def __init__(self, clock: Clock | None = None, **config: object) -> None:
        self.virtual = VirtualClock()
        self.stage = Accounts()
        self.audit = Audit()
        self.kills: list[tuple[str, int, float]] = []
        self.clock: Clock = clock or self.virtual
        self.outbox = AuditOutbox(
            cast("AuditLink", self.audit),
            self.clock,
            Patience(self.clock, Random(1), first_s=0.1, longest_s=1.0),
            "supervisor:1",
        )
        self.config = EngineConfig(lease_s=LEASE_S).model_copy(update=config)
        self.roster = self.another_life()

    def another_life(self, **config: object) -> Roster:
        self.config = self.config.model_copy(update=config)
        self.roster = Roster(
            cast("Stage", self.stage),
            cast("AuditLink", self.audit),
            self.config,
            "test",
            self.outbox,
            self.clock,
            lambda *killed: self.kills.append(killed),
        )
        return self.roster

    def remember(self, *user_ids: str) -> None:
        """Take up accounts as a supervisor's next life does."""
        self.roster.remember([spec(user_id) for user_id in user_ids], self.audit.newest)

    async def arm(self, *user_ids: str) -> None:
        await self.roster.arm([spec(user_id) for user_id in user_ids])

    async def call(self, user_id: str, answer: Callable[[Term], Awaitable[Any]]) -> Any:
        return await self.roster.call(user_id, lambda _, term: answer(term))

    async def term(self, user_id: str) -> Term:
        """What an account is told with a call just now."""
        told: list[Term] = []

        async def note(term: Term) -> None:
            told.append(term)

        await self.call(user_id, note)
        return told[0]
