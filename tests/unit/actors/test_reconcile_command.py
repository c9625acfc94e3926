"""What ``risk-engine audit reconcile`` tells people and machines."""

from __future__ import annotations

import pytest

from actors.cli.audit.reconcile import lines_of, status_of
from audit.differences import AccountReconciled, Difference, DifferenceKind


def mild() -> Difference:
    return Difference(DifferenceKind.FOREIGN_CLOSE, "ann", "4", "deal 4 was by hand")


def grave() -> Difference:
    return Difference(DifferenceKind.PNL, "ann", "event-1", "recorded 1, found 2", is_new=False)


@pytest.mark.parametrize(
    ("reports", "status", "strict"),
    [
        ([], 0, 0),
        ([AccountReconciled("ann")], 0, 0),
        ([AccountReconciled("ann", differences=(mild(),))], 0, 1),
        ([AccountReconciled("ann", differences=(mild(), grave()))], 1, 1),
        (
            [AccountReconciled("ann", differences=(grave(),)), AccountReconciled("b", error="x")],
            3,
            3,
        ),
    ],
)
def test_the_exit_status_says_what_was_found(
    reports: list[AccountReconciled], status: int, strict: int
) -> None:
    assert status_of(reports) == status
    assert status_of(reports, strict=True) == strict


def test_people_are_told_what_and_whether_it_is_news() -> None:
    told = lines_of(
        [
            AccountReconciled("ann", 3, 6, differences=(mild(), grave())),
            AccountReconciled("bob", error="the broker is away"),
        ]
    )
    assert told[0] == "ann: 3 records and 6 deals compared, 1 difference, 1 closed by others"
    assert told[1] == "  closed by others: deal 4 was by hand"
    assert told[2].endswith("(on record already)")
    assert told[3] == "bob: not done: the broker is away"
