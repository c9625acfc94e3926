"""The account actor as Ray runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayActorError, RayTaskError

from actors.account import AccountActor
from actors.messages import Activated, Activation
from actors.placement import AUDIT, ActorRef, find
from actors.recording import Confirmed
from actors.registry import Registry, Shared
from audit.chain import SealedRecord
from engine.brokers.account_spec import AccountSpec
from engine.brokers.loading import open_broker
from engine.brokers.port import Broker


class AccountProcess(AccountActor):
    """An account actor as Ray starts it: with its identity only."""

    def __init__(self, namespace: str, user_id: str) -> None:
        """Know who one is; the work comes with the activation."""
        self._namespace = namespace
        self._audit: ActorRef | None = None
        super().__init__(user_id, ship=self._to_audit, open_account=self._open)

    def activate(self, activation: Activation) -> Activated:
        """Begin a life, and open the way to the audit actor before it is needed in a hurry."""
        activated = super().activate(activation)
        self._to_audit(())
        return activated

    def _to_audit(self, records: Sequence[SealedRecord]) -> Confirmed:
        if self._audit is None:
            self._audit = find(self._namespace, AUDIT)
        sent = self._audit.append.remote(records)

        def confirmed() -> bool:
            ready, _ = ray.wait([sent], timeout=0)
            if not ready:
                return False
            try:
                ray.get(sent)
            except (RayActorError, RayTaskError):
                return False
            return True

        return confirmed

    def _open(self, spec: AccountSpec) -> Broker:
        registry = Registry(self._namespace)
        options = {
            name: registry.get("shared", value.name) if isinstance(value, Shared) else value
            for name, value in spec.options.items()
        }
        return open_broker(replace(spec, options=options))
