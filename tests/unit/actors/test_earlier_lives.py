"""How long a new life waits for what earlier ones have sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from actors.earlier_lives import earlier_may_act_s
from actors.messages import Activation

WINDOW_S = 10.0


def waits_s(
    lives: list[tuple[str, float]], *, clean: bool = False, process: str | None = "before"
) -> float:
    activation = SimpleNamespace(
        opened=SimpleNamespace(predecessor_ended_cleanly=clean, predecessor_process=process),
        earlier_lives=tuple(lives),
        policy=SimpleNamespace(settle_window_s=WINDOW_S),
    )
    return earlier_may_act_s(cast("Activation", activation), "mine", lambda name: name == "dead")


@pytest.mark.parametrize(
    ("lives", "wait_s"),
    [
        ([("before", 3.0)], WINDOW_S + 3.0),
        ([("before", 0.0)], WINDOW_S),
        ([("older", 5.0), ("before", 3.0)], WINDOW_S + 5.0),
        ([("dead", 5.0), ("before", 3.0)], WINDOW_S + 3.0),
        ([("mine", 5.0), ("before", 3.0)], WINDOW_S + 3.0),
    ],
)
def test_the_longest_lease_that_may_run_counts(
    lives: list[tuple[str, float]], wait_s: float
) -> None:
    assert waits_s(lives) == wait_s


def test_the_process_on_record_is_the_last_ones() -> None:
    assert waits_s([("", 3.0)], process="dead") == WINDOW_S
    assert waits_s([("dead", 3.0)], process=None) == WINDOW_S + 3.0


def test_a_clean_end_leaves_nothing_behind_but_one_before_it_may() -> None:
    assert waits_s([("before", 3.0)], clean=True) == 0.0
    assert waits_s([("older", 5.0), ("before", 3.0)], clean=True) == WINDOW_S + 5.0
    assert waits_s([("older", 0.0), ("before", 3.0)], clean=True) == 0.0
    assert waits_s([("dead", 5.0), ("before", 3.0)], clean=True) == WINDOW_S
