"""The three histories that any checker must refuse, and the same three mended."""

from __future__ import annotations

from dataclasses import replace

from audit.history import History, check
from tests.unit.history.scenes import (
    completed,
    entry,
    good,
    invoked,
    kinds,
    leaving,
    only,
    position,
    request,
    result,
)


def test_a_double_close() -> None:
    """The answer was lost, the caller came back, and the close was sent again."""
    resent = replace(leaving(at=150), entry="in", identifier=8, ticket=800)
    doubled = good(
        invocations=(invoked("c1", 100), invoked("c2", 140)),
        completions=(completed("c2", 200),),
        positions=(position(7), position(8, side="short")),
        deals=(entry(), leaving(at=120), resent),
        requests=(request(at=120, answered_us=None), request(at=150)),
    )
    # The resent close asked for lots that the first had taken, and opened a position with them.
    stale, violation = sorted(check(doubled).violations, key=lambda v: v.kind, reverse=True)
    assert (stale.kind, violation.kind) == ("stale_request", "double_close")
    assert violation.position == "8"
    assert "position 8 of ann" in violation.text
    assert "opened 1 lots" in violation.text
    mended = replace(
        doubled,
        positions=(position(7),),
        deals=(entry(), leaving(at=120)),
        requests=(request(at=120, answered_us=None),),
    )
    assert check(mended).accepted


def test_a_lost_close() -> None:
    """The caller was told that the position is gone; it is still there."""
    lost = good(deals=(entry(),), requests=())
    violation = only(lost)
    assert violation.kind == "lost_close"
    assert (violation.user_id, violation.position, violation.call) == ("ann", "7", "c1")
    assert "answered done" in violation.text
    assert check(replace(lost, deals=(entry(), leaving()), requests=(request(),))).accepted


def two_positions(second_at: int) -> History:
    return good(
        invocations=(
            invoked("c1", 100),
            invoked("c2", 100, key="k2", positions=("8",), ticket=8),
        ),
        completions=(
            completed("c1", 200),
            completed("c2", 200, result(position="8", key="k2", close_id="id8", tag="T8")),
        ),
        positions=(position(7), position(8)),
        deals=(entry(7), entry(8), leaving(7, 120), leaving(8, second_at, "T8")),
        requests=(request(7, 120), request(8, second_at, "T8")),
    )


def test_an_unserial_pair() -> None:
    """Two positions of one account were being closed at the same time."""
    violation = only(two_positions(second_at=125))
    assert violation.kind == "unserial_pair"
    assert violation.position == "8"
    assert "in flight until 120 µs" in violation.text
    assert check(two_positions(second_at=130)).accepted


def test_two_accounts_at_the_same_time_are_no_pair() -> None:
    pair = two_positions(second_at=125)
    other = replace(
        pair,
        invocations=(pair.invocations[0], replace(pair.invocations[1], user_id="bob")),
        positions=(pair.positions[0], replace(pair.positions[1], user_id="bob")),
        deals=tuple(replace(d, user_id="bob") if d.identifier == 8 else d for d in pair.deals),
        requests=(pair.requests[0], replace(pair.requests[1], user_id="bob")),
    )
    assert check(other).accepted


def test_a_history_of_nothing_is_accepted() -> None:
    assert kinds(History()) == set()
