"""Holding records until they are on disk: order, shipments, bounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from actors import recording
from actors.links import ActorLost
from actors.recording import RecordKeeper
from audit.chain import ChainWriter, SealedRecord, verify_chain
from audit.closes import evidence_of
from audit.events import plain_event
from audit.receipts import AppendReceipt, SetAside
from audit.records import AuditRecord, EventType, record_of
from audit.shared_answers import shared_answer_of
from engine.models import CloseRequest
from tests.unit.audit.samples import a_chain, a_close, a_result, an_evidence
from tests.virtual_time import VirtualClock

STREAM = "account:u1:1"


class Parcel:
    """A shipment whose end a test decides."""

    def __init__(self, records: Sequence[SealedRecord]) -> None:
        self.records = tuple(records)
        self.answer: AppendReceipt | Exception | None = None

    def receipt(self) -> AppendReceipt | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def arrive(self, **more: object) -> None:
        ids = frozenset(record.event_id for record in self.records)
        self.answer = AppendReceipt(ids, **more)  # type: ignore[arg-type]

    @property
    def numbers(self) -> list[int]:
        return [record.seq for record in self.records]


class Bench:
    """A keeper that ships on a virtual clock."""

    def __init__(self, most_held: int = 10_000, inherited: Sequence[SealedRecord] = ()) -> None:
        self.clock = VirtualClock()
        self.shipped: list[Parcel] = []
        self.superseded = 0
        self.keeper = RecordKeeper(
            "u1",
            ChainWriter(STREAM),
            self.clock,
            self._ship,
            superseded=self._supersede,
            inherited=inherited,
            hold_s=1.0,
            most_held=most_held,
        )
        self.numbers = iter(range(1, 100_000))

    def _ship(self, records: Sequence[SealedRecord]) -> Parcel:
        self.shipped.append(Parcel(records))
        return self.shipped[-1]

    def _supersede(self) -> None:
        self.superseded += 1

    def keep(self, count: int = 1, *, after_s: float = 0.0) -> None:
        self.clock.seconds += after_s
        for _ in range(count):
            self.keeper.keep(a_close(next(self.numbers)))


def numbers(records: Sequence[SealedRecord]) -> list[int]:
    return [record.seq for record in records]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_taken_is_held_until_it_is_acknowledged_by_number(bench: Bench) -> None:
    bench.keep(4)
    assert numbers(bench.keeper.take()) == [1, 2, 3, 4]
    assert numbers(bench.keeper.take()) == [1, 2, 3, 4]
    bench.keeper.acknowledged(2)
    assert numbers(bench.keeper.take()) == [3, 4]
    assert bench.keeper.held == 2
    bench.keeper.acknowledged(1)  # word of it comes late
    assert numbers(bench.keeper.take()) == [3, 4]


def test_records_ship_when_the_first_has_waited_long_enough(bench: Bench) -> None:
    bench.keep()
    bench.keep(after_s=0.9)
    assert bench.shipped == []
    bench.keep(after_s=0.2)
    assert [parcel.numbers for parcel in bench.shipped] == [[1, 2, 3]]


def test_one_shipment_at_a_time_is_on_its_way(bench: Bench) -> None:
    bench.keep()
    for _ in range(3):
        bench.keep(after_s=2.0)
    assert [parcel.numbers for parcel in bench.shipped] == [[1, 2]]
    assert numbers(bench.keeper.take()) == [1, 2, 3, 4], "not known to be on disk yet"


def test_a_shipment_that_arrived_is_let_go_of(bench: Bench) -> None:
    bench.keep()
    bench.keep(after_s=1.5)
    bench.shipped[0].arrive()
    bench.keep(after_s=1.5)
    assert [parcel.numbers for parcel in bench.shipped] == [[1, 2], [3]]
    assert numbers(bench.keeper.take()) == [3]


def test_a_shipment_that_failed_goes_again_from_its_first_record_after_a_pause(
    bench: Bench,
) -> None:
    bench.keep()
    bench.keep(after_s=1.5)
    bench.shipped[0].answer = ActorLost("the audit is away")
    bench.keep(after_s=1.5)  # hears of it
    bench.keep(after_s=1.5)  # and waits
    assert len(bench.shipped) == 1
    bench.keep(after_s=1.0)
    assert [parcel.numbers for parcel in bench.shipped] == [[1, 2], [1, 2, 3, 4, 5]]


def test_pauses_after_failures_grow_to_a_bound_and_end_with_the_first_success() -> None:
    bench = Bench()
    pauses = []
    for _ in range(6):
        since = bench.clock.seconds
        expected = len(bench.shipped) + 1
        while len(bench.shipped) < expected:
            bench.keep(after_s=0.25)
        pauses.append(bench.clock.seconds - since)
        bench.shipped[-1].answer = ActorLost("away")
    # A failure is heard of when the next shipment is due, and paused after.
    assert pauses[1:] == [1 + 2, 1 + 4, 1 + 5, 1 + 5, 1 + 5]
    while len(bench.shipped) < 7:
        bench.keep(after_s=0.25)
    bench.shipped[-1].arrive()
    since = bench.clock.seconds
    while len(bench.shipped) < 8:
        bench.keep(after_s=0.25)
    assert bench.clock.seconds - since <= 1.25


def test_a_receipt_lets_go_only_of_what_it_names_in_order(bench: Bench) -> None:
    bench.keep(3)
    bench.keep(after_s=1.5)
    first, second, _, fourth = bench.shipped[0].records
    bench.shipped[0].answer = AppendReceipt(
        frozenset({first.event_id, fourth.event_id}), (SetAside(second, "another hash"),)
    )
    assert numbers(bench.keeper.take()) == [3, 4], "set aside is on disk, behind a gap is not"


@pytest.mark.parametrize(("stream", "told"), [(STREAM, 1), ("account:other:1", 0)])
def test_a_superseded_stream_tells_the_life_that_writes_it(stream: str, told: int) -> None:
    bench = Bench()
    bench.keep()
    bench.keep(after_s=1.5)
    bench.shipped[0].arrive(superseded=frozenset({stream}))
    bench.keeper.take()
    assert bench.superseded == told


def test_what_is_set_aside_for_a_life_that_was_replaced_is_held_for_the_supervisor(
    bench: Bench,
) -> None:
    bench.keep(2)
    bench.keep(after_s=1.5)
    first, second, third = bench.shipped[0].records
    bench.shipped[0].answer = AppendReceipt(
        frozenset({first.event_id, third.event_id}),
        (SetAside(second, "concluded without proof"),),
        superseded=frozenset({STREAM}),
    )
    assert numbers(bench.keeper.take()) == [2, 3]


def test_what_was_inherited_goes_first_and_is_acknowledged_by_its_own_numbers() -> None:
    before = a_chain(3, "account:u1:7", first=50)[1:]
    bench = Bench(inherited=before)
    bench.keep(2)
    own = bench.keeper.take()[2:]
    assert bench.keeper.take() == (*before, *own)
    assert bench.keeper.held == 4
    bench.keeper.acknowledged(1)
    assert bench.keeper.take() == (*before, own[1])
    bench.keep(after_s=1.5)
    bench.shipped[0].arrive()
    bench.keep()
    assert numbers(bench.keeper.take()) == [4], "the shipment has taken what was inherited, too"


def test_what_was_inherited_is_shipped_though_nothing_else_is_held() -> None:
    bench = Bench(inherited=a_chain(3, "account:u1:7"))
    bench.keeper.send()
    (parcel,) = bench.shipped
    assert parcel.numbers == [1, 2, 3]
    bench.keeper.send()
    assert len(bench.shipped) == 1, "it is on its way"
    parcel.arrive()
    bench.keeper.send()
    assert (len(bench.shipped), bench.keeper.held) == (1, 0), "nothing is left to ship"


def test_inherited_records_are_let_go_of_when_they_are_on_disk() -> None:
    before = a_chain(3, "account:u1:7", first=50)
    bench = Bench(inherited=before)
    bench.keep()
    bench.keeper.acknowledged(0, {"account:u1:7": 2, STREAM: 9})
    assert [(r.stream, r.seq) for r in bench.keeper.take()] == [("account:u1:7", 3), (STREAM, 1)]


def test_much_is_taken_in_pieces_that_begin_with_the_oldest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_IN_ONE_GO", 3)
    bench.keep(7)
    pieces = []
    while piece := bench.keeper.take():
        pieces.append(numbers(piece))
        bench.keeper.acknowledged(piece[-1].seq)
    assert pieces == [[1, 2, 3], [4, 5, 6], [7]]


def drain(keeper: RecordKeeper) -> list[SealedRecord]:
    """Take and acknowledge until nothing is left."""
    drained: list[SealedRecord] = []
    while piece := keeper.take():
        drained += piece
        keeper.acknowledged(piece[-1].seq)
    return drained


def contents(records: Sequence[SealedRecord]) -> list[AuditRecord]:
    return [record_of(record.body) for record in records]


def test_beyond_its_bound_one_summary_is_kept_for_each_position_and_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(most_held=4)
    for number in (1, 2, 3, 4, 5, 6, 5):
        bench.keeper.close_finished(a_result(number), an_evidence(number))
    bench.keeper.close_finished(a_result(5), an_evidence(5, "another key"))
    bench.keeper.keep(a_close(7))
    assert len(bench.keeper.take()) == 4
    assert bench.keeper.held == 4 + 4
    assert [r.levelno for r in caplog.records] == [logging.CRITICAL]

    records = drain(bench.keeper)
    assert numbers(records) == list(range(1, 9))
    assert verify_chain(records) is None
    closed = contents(records)
    told = [(record.ticket, record.meta_data["key"]) for record in closed]
    assert told == [
        *((1000 + n, "trigger-1") for n in (1, 2, 3, 4, 5, 6)),
        (1005, "another key"),
        (1007, "trigger-1"),
    ]
    assert [bool(evidence_of(record).attempts) for record in closed] == [
        *(True, True, True, True),
        *(False, False, False),
        True,
    ]
    assert bench.keeper.held == 0


def test_summaries_are_sealed_before_what_comes_after_them() -> None:
    bench = Bench(most_held=2)
    bench.keep(3)
    bench.keeper.acknowledged(2)
    bench.keep()
    records = bench.keeper.take()
    assert numbers(records) == [3, 4]
    assert [record.ticket for record in contents(records)] == [1003, 1004]
    assert verify_chain([*a_chain_of(bench), *records]) is None


def test_a_full_keeper_goes_on_shipping_and_hears_that_there_is_room_again() -> None:
    # A liquidation may outlast the audit's absence by far: room must not wait for its end.
    bench = Bench(most_held=2)
    bench.keep()
    bench.keep(after_s=1.5)
    bench.keep(2)
    bench.shipped[0].answer = ActorLost("away")
    bench.keep(after_s=1.5)
    bench.keep(after_s=2.5)
    assert [parcel.numbers for parcel in bench.shipped] == [[1, 2], [1, 2]]
    bench.shipped[1].arrive()
    bench.keep(after_s=1.5)
    assert [parcel.numbers for parcel in bench.shipped[2:]] == [[3, 4]]


def test_a_reply_takes_the_summaries_along_and_says_what_it_leaves() -> None:
    bench = Bench(most_held=2)
    bench.keep(4)
    records = bench.keeper.hand_over()
    assert numbers(records) == [1, 2, 3, 4]
    assert verify_chain(records) is None
    bench.keep(2)
    assert numbers(bench.keeper.hand_over()) == [1, 2, 3, 4], "no more than twice the bound"
    assert bench.keeper.held == 6
    bench.keeper.acknowledged(4)
    assert numbers(bench.keeper.hand_over()) == [5, 6]


def a_chain_of(bench: Bench) -> list[SealedRecord]:
    """Seal what the keeper has let go of once more: the chain is a function of the records."""
    writer = ChainWriter(STREAM)
    return [writer.seal(a_close(1)), writer.seal(a_close(2))]


def test_at_its_last_bound_the_oldest_summary_is_dropped_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(most_held=2)
    bench.keep(5)
    assert bench.keeper.held == 4
    dropped = [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]
    assert len(dropped) == 2
    assert "dropped" in dropped[1]
    records = drain(bench.keeper)
    assert [record.ticket for record in contents(records)] == [1001, 1002, 1004, 1005]
    assert verify_chain(records) is None, "what was dropped had not been sealed"
    assert bench.keeper.lost_closes == {a_close(3).close_id}


def test_a_shared_answer_is_sealed_behind_the_close_that_it_names() -> None:
    bench = Bench(most_held=2)
    request = CloseRequest("p2", 1002, "u1", "by hand", idempotency_key="another key")
    for number in (1, 3, 2):
        bench.keeper.close_finished(a_result(number), an_evidence(number))
    bench.keeper.close_answered("2", request, a_result(2))
    assert bench.keeper.held == 4
    *_, close, shared = contents(drain(bench.keeper))
    assert close.close_id == shared.close_id == a_result(2).close_id
    assert shared_answer_of(shared).key == "another key"


def test_at_its_last_bound_a_close_is_the_last_thing_to_be_dropped() -> None:
    bench = Bench(most_held=2)
    bench.keep(3)
    bench.keeper.keep(plain_event(EventType.REVERSAL, "u1", "1", occurred_at=1))
    bench.keep(1)
    records = contents(drain(bench.keeper))
    assert [record.ticket for record in records] == [1001, 1002, 1003, 1004]


def test_a_call_is_timed_from_its_first_request_to_its_last_answer(bench: Bench) -> None:
    evidence = an_evidence()
    for number in (1, 2):
        bench.keeper.close_finished(a_result(number), evidence)
    (attempt,) = evidence.attempts
    assert timed(bench.keeper) == (attempt.sent_us, attempt.answered_us)
    bench.keeper.begin()
    assert timed(bench.keeper) == (None, None)


def timed(keeper: RecordKeeper) -> tuple[int | None, int | None]:
    return keeper.first_sent_us, keeper.last_answered_us
