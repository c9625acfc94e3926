from __future__ import annotations

from types import MappingProxyType

import pytest

from audit import canonical


def test_form_is_sorted_dense_and_ascii() -> None:
    assert canonical.encode({"b": 1, "a": [1.0, None, "é"]}) == '{"a":[1.0,null,"\\u00e9"],"b":1}'


def test_read_only_mappings_are_mappings() -> None:
    assert canonical.encode(MappingProxyType({"a": 1})) == '{"a":1}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical.encode({"a": number})


def test_what_is_no_data_is_refused_by_type() -> None:
    with pytest.raises(TypeError, match="of type object has no place in a record"):
        canonical.encode({"a": object()})


def test_anything_can_be_written_when_it_must_be() -> None:
    odd = {1: float("nan"), "x": (float("-inf"), {b"raw"}), "s": "\ud800"}
    assert canonical.decode(canonical.encode_anything(odd)) == {
        "1": "NaN",
        "x": ["-Infinity", ["b'raw'"]],
        "s": "\\ud800",
    }


def test_anything_that_is_proper_is_written_as_ever() -> None:
    proper = {"b": "😀", "a": [1.5, "\0"]}
    assert canonical.encode_anything(proper) == canonical.encode(proper)


def test_endless_nesting_ends() -> None:
    knot: list[object] = []
    knot.append(knot)
    assert canonical.encode_anything(knot).startswith("[[[[")
