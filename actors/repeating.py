"""Repeating calls whose actor was lost in mid-call: by name or key, so nothing is done twice."""

from __future__ import annotations

from typing import Any

from ray.exceptions import ActorDiedError, RayError, RayTaskError

from actors.calls import Call
from actors.links import ActorLost

REPEAT_EVERY_S = 0.2
REPEAT_FOR_S = 60.0
"""How long a call is repeated while its actor is being started again (2 s were seen)."""


def is_worth_repeating(call: Call[Any], error: Exception, lost_for_s: float) -> bool:
    """Whether to make a call again whose actor, or one that it needs, was lost: it will be back,
    and nothing is done twice."""
    is_gone = isinstance(error, ActorDiedError)
    return call.may_repeat and not is_gone and lost_for_s < REPEAT_FOR_S


def lost_since_then(lost_since: float | None, made: float, now: float) -> float:
    """Return since when an actor is lost: anew, if a call had waited in peace meanwhile.

    Args:
        lost_since: the loss before, if there was one; times are monotonic seconds.
        made: when the call that was lost now had been made.
        now: when it was lost.
    """
    has_waited = now - made > REPEAT_FOR_S / 10
    return now if lost_since is None or has_waited else lost_since


def loss_of(error: RayError) -> ActorLost:
    """Return which actor was lost: the one that was called, or one that it needed itself.

    Raises:
        Exception: none was; it is what the actor's method raised.
    """
    if not isinstance(error, RayTaskError):  # an actor, a node, or the reply itself was lost
        return ActorLost(str(error))
    cause = cause_of(error)
    if not isinstance(cause, ActorLost):
        raise cause from None
    return cause


def cause_of(error: RayTaskError) -> Exception:
    """Return what an actor's method raised, without Ray's wrapping."""
    cause = error.cause
    return cause if isinstance(cause, Exception) else error
