"""What ``risk-engine audit reconcile`` tells people and machines."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from actors.cli.audit.reconcile import lines_of, status_of
from actors.cli.main import app
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


def test_what_a_broker_wrote_does_not_steer_the_terminal() -> None:
    wrote = Difference(DifferenceKind.FOREIGN_CLOSE, "ann", "4", "of EUR\x1b[2JUSD")
    (_, told) = lines_of([AccountReconciled("ann", differences=(wrote,))])
    assert told == "  closed by others: of EUR\\u001b[2JUSD"


def test_an_empty_user_is_refused_before_an_engine_is_looked_for() -> None:
    told = CliRunner().invoke(app, ["audit", "reconcile", "--user", " "])
    assert told.exit_code == 2
    assert "--user=' ' is not allowed: it must not be empty" in told.output
