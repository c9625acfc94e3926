"""The simulated account actor: the real host, one call at a time, in a process that can die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import SecretStr

from actors.account_host import AccountHost
from actors.links import ActorLost
from actors.messages import Term
from actors.simulation.clock import ProcessClock
from actors.simulation.inboxes import OneByOne
from actors.simulation.network import Network, Target
from actors.simulation.process import Process
from actors.simulation.venue import VenueAccount, VenueCalls
from audit.chain import SealedRecord
from audit.receipts import AccountHistory, AppendReceipt
from engine.brokers.mt5 import MT5Broker
from engine.errors import RiskEngineError
from engine.mandates import episode_id_of

Find = Callable[[], Target | None]


class ShipmentOnTheWay:
    """Records that the network carries to the audit, an :class:`actors.links.Shipment`."""

    def __init__(self) -> None:
        """Begin without news."""
        self._receipt: AppendReceipt | None = None
        self._trouble: Exception | None = None

    def told(self, is_good: bool, value: object) -> None:
        """Take the answer."""
        if is_good:
            assert isinstance(value, AppendReceipt)
            self._receipt = value
        elif isinstance(value, RiskEngineError):
            self._trouble = value
        else:
            self._trouble = ActorLost(str(value))

    def receipt(self) -> AppendReceipt | None:
        """Return what became of them; see the protocol."""
        if self._trouble is not None:
            raise self._trouble
        return self._receipt


class NetworkSide:
    """The engine around one life of an account, an :class:`actors.links.EngineSide`.

    Args:
        user_id: the account.
        process: that the account lives in.
        network: carries everything.
        supervisor: finds the supervisor.
        audit: finds the audit actor.
        is_dead: knows which processes have ended.
    """

    def __init__(
        self,
        user_id: str,
        process: Process,
        network: Network,
        *,
        supervisor: Find,
        audit: Find,
        is_dead: Callable[[str], bool],
    ) -> None:
        """Stand between the account and the engine."""
        self._user_id = user_id
        self._process = process
        self._network = network
        self._supervisor = supervisor
        self._audit = audit
        self._is_dead = is_dead

    def ship(self, incarnation: int, records: Sequence[SealedRecord]) -> ShipmentOnTheWay:
        """Send records to the audit without waiting."""
        shipment = ShipmentOnTheWay()
        self._network.send(
            self._process,
            self._audit,
            "append",
            (tuple(records), incarnation),
            shipment.told,
            user_id=self._user_id,
            route="account-audit",
        )
        return shipment

    async def renew(self, incarnation: int, asked_at: float) -> Term | None:
        """Ask for the lease anew."""
        term: Term | None = await self._network.call(
            self._process,
            self._supervisor,
            "renew",
            self._user_id,
            incarnation,
            asked_at,
            user_id=self._user_id,
            route="account-supervisor",
        )
        return term

    async def history(self) -> AccountHistory:
        """Read the account's earlier answers once more."""
        (history,) = await self._network.call(
            self._process,
            self._audit,
            "histories",
            (self._user_id,),
            user_id=self._user_id,
            route="account-audit",
        )
        assert isinstance(history, AccountHistory)
        return history

    def is_dead(self, process: str) -> bool:
        """Whether a process is proven to have ended."""
        return self._is_dead(process)


class AccountActorLife(OneByOne):
    """One process of an account's actor: a host that knows nothing yet, and its mailbox.

    Args:
        process: that it is.
        clock: the process's.
        venue: the account at the venue.
        side: the engine around it.
        begins: told of the account and the episode whenever the work on one begins.
    """

    def __init__(
        self,
        process: Process,
        clock: ProcessClock,
        venue: VenueAccount,
        side: NetworkSide,
        begins: Callable[[str, str], None],
    ) -> None:
        """Start the process."""
        self._user_id = venue.user_id
        self._begins = begins
        settings = venue.settings
        host = AccountHost(
            venue.user_id,
            side,
            open_account=lambda spec: MT5Broker(
                VenueCalls(venue, process),
                login=settings.login,
                password=SecretStr(settings.password or ""),
                server=settings.server,
            ),
            clock=clock,
            process=process.name,
        )
        self.clock = clock
        super().__init__(process, host, rests=True)

    def serving(self, method: str, args: tuple[Any, ...]) -> None:
        """Take note that a call is served now."""
        if method == "close":
            self._begins(self._user_id, episode_id_of(args[1]))
