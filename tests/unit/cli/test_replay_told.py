"""What ``replay`` and ``certificate`` tell people of episodes that named their positions."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from actors.cli.audit.certificate import lines_of
from actors.cli.audit.replay import print_past
from audit.certifying import certificate_of
from audit.chain import ChainWriter
from audit.events import episode_finished, trigger_accepted
from audit.past import past_of
from audit.rows import EVENT_ID, row_of
from audit.trail import StoreTrail
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, a_close, a_trigger


def trail(*, whole_account: bool) -> StoreTrail:
    """An episode of one close, 0.25 s after it was accepted."""
    trigger = a_trigger()
    trigger = replace(trigger, positions=None) if whole_account else trigger
    supervisor, account = ChainWriter("supervisor:1"), ChainWriter("account:u1:1")
    end = episode_finished("trigger-1", "u1", occurred_at=NOW + 300_000, closed=1, residual=0)
    sealed = [
        supervisor.seal(trigger_accepted(trigger, occurred_at=NOW)),
        account.seal(replace(a_close(), occurred_at=NOW + 250_000)),
        supervisor.seal(end),
    ]
    store = MemoryStore()
    store.open()
    rows = [row_of(record, NOW, False) for record in sealed]
    store.rows = {row[EVENT_ID]: row for row in rows}
    return StoreTrail("memory", store, heads=[])


def told(*, whole_account: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, width=80, color_system=None)
    print_past(console, past_of(trail(whole_account=whole_account), "u1"), None)
    assert max(map(len, text.getvalue().splitlines())) <= 80
    return text.getvalue()


@pytest.mark.parametrize(("whole", "state"), [(True, "flat"), (False, "closed as asked")])
def test_only_an_episode_of_the_whole_account_leaves_it_flat(whole: bool, state: str) -> None:
    assert f"episode {state} " in told(whole_account=whole)


def test_each_close_has_its_time() -> None:
    assert "  +0.250000 s  p1  done  P&L -13.34" in told(whole_account=True)


def test_a_certificate_of_named_positions_gives_no_time_at_which_the_account_was_flat() -> None:
    made = certificate_of(trail(whole_account=False), "trigger-1", made_at=NOW)
    assert made.title == "CLOSED"
    lines = lines_of(made)
    assert any(line.startswith("  closed +0.249999 s after") for line in lines)
    assert not any(line.startswith("  flat ") for line in lines)
