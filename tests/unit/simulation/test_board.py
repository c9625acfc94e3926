from __future__ import annotations

import asyncio

from actors.messages import EpisodeState
from actors.simulation.board import Coverage, EpisodeBoard
from actors.simulation.clock import TrueTime
from actors.simulation.fault_kinds import ALL_KINDS, Disturbance
from actors.simulation.history import History
from actors.simulation.loop import run_in_virtual_time
from audit.chain import ChainWriter, SealedRecord
from audit.receipts import AppendReceipt, SetAside
from audit.records import AuditRecord
from tests.unit.simulation.samples import USER, accepted, closed, finished


def board() -> EpisodeBoard:
    async def made() -> EpisodeBoard:
        return EpisodeBoard(History(TrueTime(asyncio.get_running_loop())))

    return run_in_virtual_time(made())


def seal(*records: AuditRecord) -> list[SealedRecord]:
    chain = ChainWriter("supervisor:1")
    return [chain.seal(record) for record in records]


def taken(records: list[SealedRecord]) -> AppendReceipt:
    return AppendReceipt(frozenset(record.event_id for record in records))


def test_an_episode_is_followed_from_its_acceptance_to_its_end() -> None:
    one = board()
    begun, ended = seal(accepted(), finished())
    one.appended([begun], taken([begun]))
    assert one.states(USER) == [EpisodeState.ACCEPTED]
    one.turn(USER, "crash", EpisodeState.CLOSING)
    one.turn(USER, "crash", EpisodeState.WAITING)
    assert one.states("") == [EpisodeState.WAITING]
    one.appended([ended], taken([ended]))
    one.turn(USER, "crash", EpisodeState.CLOSING)  # a call that came too late
    assert one.states(USER) == [EpisodeState.FLAT]


def test_what_was_not_acknowledged_is_not_known() -> None:
    one = board()
    records = seal(accepted())
    one.appended(records, AppendReceipt(frozenset()))
    assert one.records == {}
    assert one.states(USER) == []


def test_two_contents_of_one_event_clash_unless_one_was_set_aside() -> None:
    first, second = seal(closed()), seal(accepted(), closed(volume=0.4))[1:]
    one = board()
    one.appended(first, taken(first))
    one.appended(second, AppendReceipt(taken(second).acknowledged, (SetAside(second[0], "no"),)))
    assert one.clashes == []
    one.appended(second, taken(second))
    assert one.clashes == [first[0].event_id]


def test_the_table_has_every_cell_and_adds_up() -> None:
    coverage = Coverage()
    coverage.met(Disturbance.KILL_AUDIT, [EpisodeState.FLAT, EpisodeState.FLAT])
    other = Coverage()
    other.add(coverage.table())
    other.add(coverage.table())
    table = other.table()
    assert list(table) == list(ALL_KINDS)
    assert table["kill audit"] == {
        "accepted": 0,
        "closing": 0,
        "waiting": 0,
        "flat": 4,
        "residual": 0,
    }
