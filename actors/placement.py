"""How actors are placed: their names, their options, starting, finding and ending them.

Supervisor, audit and account actors are detached and named, so that each can be found again and
outlives its caller. ``max_task_retries`` is 0: Ray re-runs a call whose *reply* was lost, even
though nothing died; this engine resends by itself, by key. The classes themselves know nothing
of this, and each lives in a module of its own, so that an account's process imports no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import ray

ActorRef: TypeAlias = Any
"""A handle to an actor; Ray's own types do not know the methods of the class behind it."""

SUPERVISOR = "supervisor"
AUDIT = "audit"
READING = "reading"
"""Concurrency group of the audit actor's reads, which may wait for the store."""
RECALLING = "recalling"
"""Concurrency group of what a life needs at its beginning, which waits for nothing."""
AUDIT_GROUPS: Mapping[str, int] = {READING: 1, RECALLING: 1}
"""Threads of the audit actor besides its own; Ray ends an actor that is called in another group."""

_LASTING: Mapping[str, Any] = {
    "num_cpus": 0,
    "lifetime": "detached",
    "max_restarts": -1,
    "max_task_retries": 0,
}


def account_name(user_id: str) -> str:
    """Name the actor of an account."""
    return f"account:{user_id}"


def start(actor: type, namespace: str, name: str, *identity: str, **options: Any) -> ActorRef:
    """Make a plain class a named actor.

    Args:
        actor: the class; constructed with ``namespace`` and ``identity``.
        namespace: the engine's.
        name: the actor's.
        *identity: what else it is constructed with, in every life.
        **options: of the actor, besides the lasting ones.

    Raises:
        ray.exceptions.ActorAlreadyExistsError: the name is taken.
    """
    groups = options.pop("concurrency_groups", None)
    lasting = {**_LASTING, **({"concurrency_groups": dict(groups)} if groups else {})}
    remote: Any = ray.remote(**lasting)(actor)
    return remote.options(name=name, namespace=namespace, **options).remote(namespace, *identity)


def find(namespace: str, name: str) -> ActorRef:
    """Find a named actor.

    Raises:
        ValueError: there is none.
    """
    return ray.get_actor(name, namespace=namespace)


def kill(namespace: str, name: str) -> None:
    """Kill an actor's process, whatever it is doing; Ray starts it again."""
    try:
        actor = find(namespace, name)
    except ValueError:
        return
    ray.kill(actor, no_restart=False)


def end(namespace: str, name: str) -> None:
    """End an actor for good; harmless if there is none."""
    try:
        actor = find(namespace, name)
    except ValueError:
        return
    ray.kill(actor, no_restart=True)
