from __future__ import annotations

import pickle

import pytest

from audit.chain import NO_HASH, ChainHead, ChainProblem, ChainWriter, chain_hash, verify_chain
from audit.records import record_of
from tests.unit.audit.samples import a_chain, a_close


def test_records_are_numbered_from_one_and_linked() -> None:
    first, second, third = a_chain(3)
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    assert (first.prev_hash, second.prev_hash) == (NO_HASH, first.hash)
    assert third.hash == chain_hash(second.hash, third.body)
    assert record_of(second.body).seq == 2
    assert verify_chain([first, second, third]) is None


def test_the_first_record_of_a_life_cites_the_one_before() -> None:
    head = ChainHead("account:u1:1", 7, b"h" * 32)
    writer = ChainWriter("account:u1:2", head)
    first, second = writer.seal(a_close(1)), writer.seal(a_close(2))
    assert first.prev_hash == head.hash
    assert record_of(first.body).predecessor == "account:u1:1@7"
    assert record_of(second.body).predecessor is None
    assert record_of(first.body).incarnation == 2
    assert writer.head == ChainHead("account:u1:2", 2, second.hash)


def test_an_altered_field_is_found_at_its_record() -> None:
    records = a_chain(5)
    third = records[2]
    records[2] = third._replace(body=third.body.replace(b'"volume":0.5', b'"volume":0.6'))
    problem = verify_chain(records)
    assert problem is not None
    assert (problem.seq, problem.event_id) == (3, third.event_id)
    assert "altered" in problem.reason


def test_a_removed_record_is_found_behind_the_gap() -> None:
    records = a_chain(5)
    del records[2]
    problem = verify_chain(records)
    assert problem is not None
    assert problem.seq == 4
    assert "missing" in problem.reason


def test_a_swapped_pair_is_found() -> None:
    records = a_chain(5)
    records[1], records[2] = records[2], records[1]
    problem = verify_chain(records)
    assert problem is not None
    assert problem.seq == 3


def test_a_record_made_anew_does_not_fit_the_next() -> None:
    records = a_chain(5)
    body = records[2].body.replace(b'"volume":0.5', b'"volume":0.6')
    forged = chain_hash(records[2].prev_hash, body)
    records[2] = records[2]._replace(body=body, hash=forged)
    problem = verify_chain(records)
    assert problem is not None
    assert problem.seq == 4
    assert "does not cite" in problem.reason


def test_a_label_that_differs_from_the_content_is_found() -> None:
    records = a_chain(2)
    records[1] = records[1]._replace(event_id=records[0].event_id)
    problem = verify_chain(records)
    assert problem is not None
    assert "another event or place" in str(problem)


def test_a_record_of_another_stream_is_found() -> None:
    problem = verify_chain([*a_chain(1), *a_chain(2, "account:u2:1")[1:]])
    assert problem is not None
    assert "belongs to the stream account:u2:1" in problem.reason


def test_sealed_records_travel_small() -> None:
    records = a_chain(10)
    data = pickle.dumps(records, protocol=5)
    assert pickle.loads(data) == records
    assert len(data) < sum(len(record.body) for record in records) + 10 * 200


def test_a_writer_needs_the_name_of_a_stream() -> None:
    with pytest.raises(ValueError, match="stream='nonsense'"):
        ChainWriter("nonsense")


def test_a_missing_record_is_named_by_its_place_alone() -> None:
    assert str(ChainProblem("account:u1:1", 7, "", "is missing")) == "account:u1:1@7: is missing"
