"""The account actor as Ray runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from actors.account import AccountActor
from actors.account_host import AccountHost
from actors.links import ActorLost
from actors.messages import Term
from actors.placement import AUDIT, SUPERVISOR, ActorRef, find
from actors.process_identity import is_proven_dead, this_process
from actors.registry import Registry, Shared
from audit.chain import SealedRecord
from audit.receipts import AccountHistory, AppendReceipt
from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import open_broker
from engine.brokers.port import Broker
from engine.clock import SystemClock

_T = TypeVar("_T")

RENEWAL_S = 5.0
"""How long an answer to a renewal is waited for before it is asked for again."""

HISTORY_S = 10.0
"""How long earlier answers are waited for before the first order."""


class RayShipment:
    """Records on their way to the audit actor."""

    def __init__(self, sent: ray.ObjectRef[AppendReceipt]) -> None:
        """Hold the pending answer."""
        self._sent = sent

    def receipt(self) -> AppendReceipt | None:
        """Return what became of the records, ``None`` while that is not known."""
        ready, _ = ray.wait([self._sent], timeout=0)
        if not ready:
            return None
        try:
            receipt: AppendReceipt = ray.get(self._sent)
        except RayTaskError as error:
            raise ActorLost(f"the audit refused: {error.cause}") from None
        except RayError as error:
            raise ActorLost(str(error)) from error
        return receipt


class RaySide:
    """The engine around an account's life, reached over Ray. Actors are found by name, once."""

    def __init__(self, namespace: str, user_id: str) -> None:
        """Look for actors when they are needed."""
        self._namespace = namespace
        self._user_id = user_id
        self._found: dict[str, ActorRef] = {}

    def ship(self, incarnation: int, records: Sequence[SealedRecord]) -> RayShipment:
        """Send records to the audit actor."""
        return RayShipment(self._find(AUDIT).append.remote(records, incarnation))

    async def renew(self, incarnation: int, asked_at: float) -> Term | None:
        """Ask the supervisor for the lease anew."""
        call = self._find(SUPERVISOR).renew.remote(self._user_id, incarnation, asked_at)
        term: Term | None = await _within(RENEWAL_S, call)
        return term

    async def history(self) -> AccountHistory:
        """Read earlier answers once more."""
        call = self._find(SUPERVISOR).history.remote(self._user_id)
        history: AccountHistory = await _within(HISTORY_S, call)
        return history

    def is_dead(self, process: str) -> bool:
        """Whether a process is proven to have ended."""
        return is_proven_dead(process)

    def _find(self, name: str) -> ActorRef:
        if name not in self._found:
            try:
                self._found[name] = find(self._namespace, name)
            except ValueError as error:
                raise ActorLost(f"there is no {name} actor") from error
        return self._found[name]


async def _within(seconds: float, call: Awaitable[_T]) -> _T:
    """Await a remote call for a bounded time.

    Raises:
        ActorLost: there was no answer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as error:
        raise ActorLost(f"no answer within {seconds} s") from error
    except RayTaskError as error:
        raise ActorLost(f"the call failed: {error.cause}") from None
    except RayError as error:
        raise ActorLost(str(error)) from error


class AccountProcess(AccountActor):
    """An account actor as Ray starts it: with its identity only."""

    def __init__(self, namespace: str, user_id: str) -> None:
        """Know who one is; the work comes with the activation."""
        self._namespace = namespace
        self._side = RaySide(namespace, user_id)
        host = AccountHost(
            user_id,
            self._side,
            clock=SystemClock(),
            process=this_process(),
            open_account=self._open,
        )
        super().__init__(host)

    def _open(self, spec: AccountSpec) -> Broker:
        registry = Registry(self._namespace)
        options = {
            name: registry.get("shared", value.name) if isinstance(value, Shared) else value
            for name, value in spec.options.items()
        }
        return open_broker(replace(spec, options=options))
