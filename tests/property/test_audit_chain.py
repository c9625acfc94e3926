from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.chain import verify_chain
from tests.unit.audit.samples import a_chain

_CHAIN = a_chain(12)


def _flip(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(changed)


@given(st.integers(0, 11), st.integers(0, 20_000), st.sampled_from(["body", "hash", "link"]))
def test_any_changed_bit_is_found_at_its_record(index: int, bit: int, field: str) -> None:
    record = _CHAIN[index]
    if field == "body":
        tampered = record._replace(body=_flip(record.body, bit))
    elif field == "hash":
        tampered = record._replace(hash=_flip(record.hash, bit))
    else:
        tampered = record._replace(prev_hash=_flip(record.prev_hash, bit))
    problem = verify_chain([*_CHAIN[:index], tampered, *_CHAIN[index + 1 :]])
    assert problem is not None
    assert problem.seq == index + 1


@given(st.permutations(range(12)), st.integers(0, 12))
def test_only_the_whole_order_is_whole(order: list[int], length: int) -> None:
    kept = order[:length]
    whole = kept == list(range(length))
    assert (verify_chain(_CHAIN[index] for index in kept) is None) is whole
