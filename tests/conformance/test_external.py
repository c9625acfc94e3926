"""The adapter over an account that a venue in another process holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.brokers import Side, open_broker
from engine.simulated.served import PriceSource, ServedAccount, VenuePlan, VenueProcess
from tests.conformance.broker_conformance import BrokerConformance, Stage

TICKS = ((1_700_000_000_000, 1.1, 1.10012), (1_700_000_001_000, 1.1001, 1.10022))
ACCOUNTS = 60


class ExternalStage:
    """An account of the venue; what only an operator does goes by the venue's control."""

    symbol = "EURUSD"
    lots = 0.2

    def __init__(self, venue: VenueProcess, account: ServedAccount) -> None:
        self.broker = open_broker(venue.spec(account.login, replay=False))
        self.hedging = not account.netting
        self._venue = venue
        self._login = account.login

    async def open_position(self, side: Side, lots: float) -> int:
        return self._venue.control.open_position(self._login, side, lots)

    async def place_pending(self) -> int:
        return self._venue.control.place_pending(self._login)


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueProcess]:
    """One process for all tests, with a fresh account for each."""
    plan = VenuePlan(
        prices=PriceSource(symbol="EURUSD", ticks=TICKS),
        accounts=tuple(
            ServedAccount(login=number, user_id=f"user-{number}", netting=number % 2 == 0)
            for number in range(1, ACCOUNTS + 1)
        ),
    )
    with VenueProcess(plan) as process:
        yield process


@pytest.fixture(scope="module")
def unused(venue: VenueProcess) -> list[ServedAccount]:
    return list(venue.plan.accounts)


class TestExternalBroker(BrokerConformance):
    @pytest.fixture(params=[False, True], ids=["hedging", "netting"])
    def stage(
        self, request: pytest.FixtureRequest, venue: VenueProcess, unused: list[ServedAccount]
    ) -> Iterator[Stage]:
        account = next(a for a in unused if a.netting is request.param)
        unused.remove(account)
        stage = ExternalStage(venue, account)
        yield stage
        stage.broker.terminal.shutdown()  # type: ignore[attr-defined]
