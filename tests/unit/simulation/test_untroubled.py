"""A fault troubles a stretch that it falls into, or falls shortly before."""

from __future__ import annotations

import pytest

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.history import Event
from actors.simulation.untroubled import LINGERS_S, Troubles

_BEGUN, _ENDED = 20_000_000, 21_000_000


def fault(at_us: int, user_id: str = "ann", kind: Disturbance = Disturbance.REPLY_LOST) -> Event:
    return Event(at_us, "fault", user_id, {"what": kind.value})


@pytest.mark.parametrize(
    ("event", "is_touched"),
    [
        (fault(_BEGUN), True),
        (fault(_ENDED, ""), True),
        (fault(_BEGUN - round(LINGERS_S * 1e6)), True),
        (fault(_BEGUN - round(LINGERS_S * 1e6) - 1), False),
        (fault(_BEGUN - 900_000, "ann", Disturbance.MESSAGE_DOUBLED), True),
        (fault(_BEGUN - 1_100_000, "ann", Disturbance.MESSAGE_DOUBLED), False),
        (fault(_ENDED + 1), False),
        (fault(_BEGUN, "bob"), False),
        (fault(_BEGUN, "", Disturbance.JOURNAL_FULL), False),
        (Event(_BEGUN, "born", "ann", {"process": "ann/2"}), True),
        (Event(_BEGUN, "order", "ann", {"number": 1}), False),
    ],
)
def test_what_touches_a_stretch(event: Event, is_touched: bool) -> None:
    assert Troubles([event]).touched("ann", _BEGUN, _ENDED) is is_touched
