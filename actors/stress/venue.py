"""Where the accounts of a run live: in their actors' own processes, or at a venue outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Protocol

from actors.handle import RiskEngine
from actors.messages import AccountBook
from actors.stress.options import SHARE_OF_WINDOW, StressOptions
from actors.stress.plan import FIRST_LOGIN, SHARED_PRICES, StressPlan
from engine.brokers.account_spec import AccountSpec
from engine.brokers.mt5_reading import read_deals, read_position
from engine.simulated.served import (
    AccountCounts,
    PriceSource,
    ServedAccount,
    VenueBehaviour,
    VenueBook,
    VenueControl,
    VenuePlan,
    VenueProcess,
)

RATE_LATE = 0.08
"""Of the requests under chaos: answered 10012 or 10008 first, executed after that."""
RATE_LOST = 0.04
"""Of the requests under chaos: executed, and never answered."""
RATE_DUPLICATED = 0.04
"""Of the requests under chaos: delivered twice, and answered twice."""
MOST_READY_S = 600.0


class Venue(Protocol):
    """The accounts of a run."""

    def specs(self, engine: RiskEngine) -> list[AccountSpec]:
        """Make the accounts ready and return them as the engine takes them."""
        ...

    def books(self, engine: RiskEngine) -> Sequence[AccountBook]:
        """Read every account's book."""
        ...


class OwnProcesses:
    """Accounts simulated in the process of each account's actor."""

    def __init__(self, plan: StressPlan) -> None:
        """Take the plan."""
        self._plan = plan

    def specs(self, engine: RiskEngine) -> list[AccountSpec]:
        """Share the prices and return the accounts."""
        engine.share(SHARED_PRICES, self._plan.prices)
        return self._plan.specs()

    def books(self, engine: RiskEngine) -> Sequence[AccountBook]:
        """Ask the accounts' actors, which hold the books."""
        return [engine.book(user_id) for user_id in engine.accounts()]


class OutsideVenue:
    """Accounts at a venue process, whose books no actor's death can touch.

    Args:
        plan: what happens.
        process: the venue, started.
    """

    def __init__(self, plan: StressPlan, process: VenueProcess) -> None:
        """Take a venue that serves the plan's accounts."""
        self._plan = plan
        self._process = process
        self.logins = {account.user_id: account.login for account in process.plan.accounts}

    def specs(self, engine: RiskEngine) -> list[AccountSpec]:
        """Return the accounts."""
        return self._process.specs(timeout_s=answer_within_s(self._plan.options))

    def books(self, engine: RiskEngine) -> Sequence[AccountBook]:
        """Ask the venue; the engine has no part in it."""
        return [self._book(user_id, book) for user_id, book in self.venue_books().items()]

    def venue_books(self) -> dict[str, VenueBook]:
        """Read the venue's whole books, by user."""
        return {name: self._process.control.book(login) for name, login in self.logins.items()}

    def counts(self) -> dict[str, AccountCounts]:
        """Count every account, by user."""
        counts = self._process.control.counts()
        return {name: counts[login] for name, login in self.logins.items()}

    def connect(self) -> VenueControl:
        """Open another connection for an operator."""
        return VenueControl(self._process.port, self._process.token)

    def _book(self, user_id: str, book: VenueBook) -> AccountBook:
        return AccountBook(
            user_id,
            self._plan.currency,
            tuple(read_position(SimpleNamespace(**data)) for data in book.positions),
            read_deals([SimpleNamespace(**data) for data in book.deals]),
        )


@contextmanager
def opened(plan: StressPlan) -> Iterator[Venue]:
    """Open the plan's venue until the block ends.

    Raises:
        engine.simulated.served.VenueFailed: the venue process did not start.
    """
    if plan.options.venue == "simulated":
        yield OwnProcesses(plan)
        return
    with VenueProcess(venue_plan(plan), ready_within_s=MOST_READY_S) as process:
        yield OutsideVenue(plan, process)


def answer_within_s(options: StressOptions) -> float:
    """Return how long a call to the venue may go without an answer, in seconds."""
    return 60.0 if options.chaos is None else max(1.0, 2 * options.settle_window_ms / 1000)


def venue_plan(plan: StressPlan) -> VenuePlan:
    """Write the plan as a venue process takes it."""
    options = plan.options
    return VenuePlan(
        prices=(
            PriceSource(scenario=options.scenario, seed=options.seed)
            if options.prices is None
            else PriceSource(file=str(options.prices.absolute()), symbol=options.symbol)
        ),
        accounts=tuple(
            ServedAccount(
                login=login,
                user_id=account.user_id,
                deposit=account.deposit,
                currency=account.currency,
                positions=account.positions,
            )
            for login, account in enumerate(plan.accounts, start=FIRST_LOGIN)
        ),
        behaviour=_behaviour(options),
        stand_at_ms=plan.worst_ms if options.trigger == "all" else None,
        speed=options.speed,
    )


def _behaviour(options: StressOptions) -> VenueBehaviour:
    chaos = options.chaos_plan
    if chaos is None:
        return VenueBehaviour(latency_ms=options.latency_ms, seed=options.seed)
    longest_ms = SHARE_OF_WINDOW * options.settle_window_ms
    return VenueBehaviour(
        latency_ms=options.latency_ms,
        execution_delay_ms=(0.0, longest_ms),
        rate_late=RATE_LATE,
        late_ms=longest_ms - options.latency_ms,
        rate_lost_answers=RATE_LOST,
        rate_duplicated=RATE_DUPLICATED,
        seed=chaos.seed,
    )
