"""Driver, Ray and all actors are killed in mid-liquidation; a new engine ends what was begun, and
answers what was asked before as it was answered then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos.engine_runs import (
    answers_of,
    kill_everything,
    read_answers,
    start_engine,
    venue_of,
    write_plan,
)
from tests.cluster.waiting import wait_until

EACH = 25
WAITS = {"settle_window_s": 1.0, "deal_lag_s": 1.0, "lease_s": 5.0}


def test_episodes_are_ended_by_the_next_engine_over_the_same_journal(tmp_path: Path) -> None:
    with venue_of(EACH, "ann", "bob", "cat", latency_ms=100.0) as venue:
        one, two, three = (p["ticket"] for p in venue.control.book(3).positions[:3])
        asked = [
            ["close", "cat", one, "success"],
            ["close", "cat", 987_654, "failure"],
            ["close some", "cat", [two, three], "several"],
        ]

        def closes() -> list[int]:
            return [counts.closes for counts in list(venue.control.counts().values())[:2]]

        steps: list[list[object]] = [*asked, ["submit", "ann", "bob"], ["wait"]]
        first = write_plan(tmp_path, venue, steps, **WAITS)
        with start_engine(first) as child:
            assert child.stdout is not None
            told: list[Any] = []
            while len(told) < 4:
                line = child.stdout.readline()
                assert line, first.with_suffix(".stderr").read_text(encoding="utf-8")
                told += read_answers([line])
            wait_until(lambda: min(closes()) >= 3, what=lambda: f"closes so far: {closes()}")
            kill_everything(child.pid)
        assert max(closes()) < EACH, "it was over already; nothing was interrupted"
        open_before = [counts.open_positions for counts in venue.control.counts().values()]
        assert min(open_before) > 0

        misused = [
            ["misuse", "cat", f"p{one}", two, "success", None],
            ["misuse", "cat", "p987654", 987_654, "failure", 0.05],
            ["misuse", "cat", f"p{two}", two, "several", 0.05],
        ]
        results: list[list[object]] = [["result", "ann"], ["result", "bob"]]
        steps = [*results, *asked, *misused, ["result", "ann"], ["verify"]]
        answers = answers_of(write_plan(tmp_path, venue, steps, **WAITS))
        counts = list(venue.control.counts().values())

    # Nobody has asked for anything anew: the open episodes went on by themselves.
    ann, bob = answers[:2]
    assert [account.open_positions for account in counts] == [0, 0, EACH - 3]
    assert [account.double_closes for account in counts] == [(), (), ()]
    assert [account.closes for account in counts] == [EACH, EACH, 3]
    assert all(result["success"] for result in ann + bob)
    assert len({result["ticket"] for result in ann}) == EACH
    assert len({result["ticket"] for result in bob}) == EACH
    # What was asked before is answered as it was then, field by field.
    assert answers[2:5] == told[:3]
    assert [told[0]["success"], told[1]["success"], told[0]["durable"]] == [True, False, True]
    assert answers[5:8] == ["IdempotencyConflict"] * 3
    assert answers[8] == ann
    assert answers[9] is None
