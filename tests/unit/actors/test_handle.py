"""Which calls of a handle are made again when an actor was lost."""

from __future__ import annotations

from typing import Any, cast

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from actors.calls import Call
from actors.links import ActorLost
from actors.repeating import REPEAT_FOR_S, is_worth_repeating, loss_of, lost_since_then
from engine.errors import IdempotencyConflict


def call(*, may_repeat: bool = True) -> Call[Any]:
    return Call(lambda: cast("ray.ObjectRef[Any]", None), list, may_repeat)


def raised(cause: Exception) -> RayTaskError:
    return RayTaskError("method", "Traceback ...", cause)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "error",
    [
        RayActorError(),
        ActorUnavailableError("no contact", b"\1" * 16),
        ActorLost("the audit is away"),
    ],
    ids=["lost", "out of contact", "needed by the one that was called"],
)
def test_a_call_is_repeated_while_its_actor_may_come_back(error: Exception) -> None:
    assert is_worth_repeating(call(), error, 0.0)
    assert is_worth_repeating(call(), error, REPEAT_FOR_S - 0.001)
    assert not is_worth_repeating(call(), error, REPEAT_FOR_S)


def test_an_actor_that_ended_for_good_is_not_called_again() -> None:
    assert not is_worth_repeating(call(), ActorDiedError(), 0.0)


def test_a_call_that_is_not_done_once_whatever_happens_is_not_repeated() -> None:
    assert not is_worth_repeating(call(may_repeat=False), RayActorError(), 0.0)


def test_a_lost_actor_is_told_from_what_an_actor_raised() -> None:
    unreachable = ActorUnavailableError("no contact", b"\1" * 16)
    assert isinstance(loss_of(unreachable), ActorLost)
    needed = ActorLost("the audit is away")
    assert loss_of(raised(needed)) is needed
    with pytest.raises(IdempotencyConflict, match="used"):
        loss_of(raised(IdempotencyConflict("used")))


def test_a_long_peace_between_two_losses_begins_the_time_anew() -> None:
    assert lost_since_then(None, made=0.0, now=5.0) == 5.0
    assert lost_since_then(5.0, made=5.2, now=5.4) == 5.0
    assert lost_since_then(5.0, made=6.0, now=106.0) == 106.0
