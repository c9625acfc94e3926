"""Driver, Ray and all actors are killed in mid-liquidation; a new engine ends what was begun."""

from __future__ import annotations

from pathlib import Path

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
    with venue_of(EACH, "ann", "bob", latency_ms=100.0) as venue:
        ticket = venue.control.book(1).positions[0]["ticket"]
        ask = ["close", "ann", ticket, "a key"]

        def closes() -> list[int]:
            return [counts.closes for counts in venue.control.counts().values()]

        first = write_plan(tmp_path, venue, [ask, ["submit", "ann", "bob"], ["wait"]], **WAITS)
        with start_engine(first) as child:
            assert child.stdout is not None
            told: list[object] = []
            while len(told) < 2:
                line = child.stdout.readline()
                assert line, first.with_suffix(".stderr").read_text(encoding="utf-8")
                told += read_answers([line])
            wait_until(lambda: min(closes()) >= 3, what=lambda: f"closes so far: {closes()}")
            kill_everything(child.pid)
        assert max(closes()) < EACH, "it was over already; nothing was interrupted"
        open_before = [counts.open_positions for counts in venue.control.counts().values()]
        assert min(open_before) > 0

        steps = [["result", "ann"], ["result", "bob"], ask, ["result", "ann"], ["verify"]]
        ann, bob, again, ann_again, problem = answers_of(
            write_plan(tmp_path, venue, steps, **WAITS)
        )
        counts = list(venue.control.counts().values())

    # Nobody has asked for anything anew: the open episodes went on by themselves.
    assert [account.open_positions for account in counts] == [0, 0]
    assert [account.double_closes for account in counts] == [(), ()]
    assert [account.closes for account in counts] == [EACH, EACH]
    assert all(result["success"] for result in ann + bob)
    # One of ann's was closed before her trigger, and belongs to no episode of hers.
    assert len({result["ticket"] for result in ann} - {ticket}) == EACH - 1
    assert len({result["ticket"] for result in bob}) == EACH
    assert again == told[0]
    assert ann_again == ann
    assert problem is None
