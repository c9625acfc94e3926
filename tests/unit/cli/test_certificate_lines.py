"""What ``risk-engine audit certificate`` says of a certificate, in a few lines."""

from __future__ import annotations

from dataclasses import replace

from actors.cli.audit.certificate import lines_of
from audit.certificate_page import certificate_page
from audit.closes import close_record
from audit.differences import Difference, DifferenceKind, difference_record
from audit.events import episode_finished, trigger_accepted
from engine.models import PositionRef
from tests.unit.audit.samples import NOW, a_result, a_trigger, an_evidence
from tests.unit.audit.test_certificate import TRIGGER, Engine, certify


def test_an_account_of_which_only_named_positions_were_closed_is_not_called_flat() -> None:
    engine = Engine()
    named = replace(a_trigger(), positions=(PositionRef("p1", 1001),))
    engine.write(trigger_accepted(named, occurred_at=NOW), engine.supervisor)
    engine.write(close_record(a_result(), an_evidence(), user_id="u1"))
    end = episode_finished("trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=0)
    engine.write(end, engine.supervisor)
    lines = lines_of(certify(engine.rows()))
    assert lines[0].startswith("CLOSED: ")
    assert any(line.startswith("  closed +0.") for line in lines)
    assert not any("flat" in line for line in lines)


def test_orders_that_no_record_describes_are_told() -> None:
    engine = Engine()
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW), engine.supervisor)
    found_gone = replace(an_evidence(), attempts=(), volume_before=0.0)
    engine.write(close_record(a_result(), found_gone, user_id="u1"))
    lines = lines_of(certify(engine.rows()))
    assert any("1 close rests on orders that no record describes" in line for line in lines)
    assert not any(line.startswith("  first order +") for line in lines)


def test_what_went_wrong_besides_is_at_the_top_and_changes_no_verdict() -> None:
    engine = Engine().liquidate()
    grave, mild = (
        Difference(kind, "u1", "7", f"deal {number}", trigger_id="trigger-1")
        for number, kind in enumerate((DifferenceKind.MISSING_DEAL, DifferenceKind.FOREIGN_CLOSE))
    )
    for one in (grave, mild):
        engine.write(difference_record(one, occurred_at=NOW + 90), engine.supervisor)
    made = certify(engine.rows())
    assert (made.title, len(made.incidents)) == ("FLAT", 2)
    told = "reconcile_difference: missing deal: deal 0"
    lines = lines_of(made)
    assert f"  {told}" in lines
    assert not any("deal 1" in line for line in lines)
    page = certificate_page(made)
    assert told in page[: page.index("<section>")]
