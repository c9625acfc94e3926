"""An account closer over a scripted broker, under virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from engine.brokers.port import Position
from engine.closer import PositionCloser
from engine.closing import AccountCloser
from engine.models import CloseEvidence, CloseRequest, CloseResult, EarlierAnswer, SharedAnswer
from engine.policy import ClosingPolicy
from tests.scripted_broker import ScriptedBroker
from tests.virtual_time import VirtualClock

POLICY = ClosingPolicy(most_attempts=5, settle_window_s=10.0, deal_lag_s=2.0)


@dataclass
class Ledger:
    """Keeps what would be recorded."""

    entries: list[tuple[CloseResult, CloseEvidence]] = field(default_factory=list)
    shared: list[SharedAnswer] = field(default_factory=list)
    reversals: list[tuple[str, Position, CloseRequest]] = field(default_factory=list)

    @property
    def answers(self) -> list[EarlierAnswer]:
        """What a later life is given."""
        return [*self.entries, *self.shared]

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        self.entries.append((result, evidence))

    def close_answered(self, position: str, request: CloseRequest, answer: CloseResult) -> None:
        key, ref = request.idempotency_key, (request.position_id, request.ticket)
        shared = SharedAnswer(position, key, request.fingerprint, *ref, answer.close_id)
        self.shared.append(shared)

    def reversal_found(self, position: str, opened: Position, request: CloseRequest) -> None:
        self.reversals.append((position, opened, request))


@dataclass
class Desk:
    """One account, its broker, its clock and what was recorded."""

    broker: ScriptedBroker
    clock: VirtualClock
    ledger: Ledger
    closer: PositionCloser
    account: AccountCloser

    def life(self, **parts: Any) -> AccountCloser:
        """Another closer of the same account: a later life, or one with other parts."""
        parts = {"policy": POLICY, "ledger": self.ledger, **parts}
        return AccountCloser("ann", self.broker, clock=self.clock, random=Random(2), **parts)

    async def close(self, ticket: int = 1, key: str | None = None, **more: object) -> CloseResult:
        return await self.account.close(self.request(ticket, key, **more))

    def request(self, ticket: int = 1, key: str | None = None, **more: object) -> CloseRequest:
        fields: dict[str, object] = {
            "position_id": str(ticket),
            "ticket": ticket,
            "user_id": "ann",
            "close_reason": "test",
            "idempotency_key": key or "",
            **more,
        }
        return CloseRequest(**fields)  # type: ignore[arg-type]  # a test's own free hand


def make_desk(policy: ClosingPolicy = POLICY) -> Desk:
    broker, clock, ledger = ScriptedBroker(), VirtualClock(), Ledger()
    closer = PositionCloser(clock=clock, random=Random(1), policy=policy)
    account = closer.attach("ann", broker, ledger=ledger)
    return Desk(broker, clock, ledger, closer, account)


@pytest.fixture
def desk() -> Desk:
    return make_desk()
