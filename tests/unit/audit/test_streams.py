from __future__ import annotations

import pytest

from audit.streams import SUPERVISOR, account_owner, parse_stream, stream_name, user_of


@pytest.mark.parametrize("user_id", ["u1", "a:b", ":", "account:x:7", "supervisor", "7", "ü 7"])
def test_a_stream_of_any_user_is_taken_apart_again(user_id: str) -> None:
    owner, incarnation = parse_stream(stream_name(account_owner(user_id), 12))
    assert (user_of(owner), incarnation) == (user_id, 12)


def test_the_supervisor_is_no_user() -> None:
    assert parse_stream(stream_name(SUPERVISOR, 1)) == (SUPERVISOR, 1)
    assert user_of(SUPERVISOR) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "supervisor",
        "supervisor:",
        "supervisor:0",
        "supervisor:01",
        "supervisor:x",
        "supervisor:-1",
        "supervisor:²",
        "boss:1",
        "account::1",
        "account:1",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not allowed"):
        parse_stream(name)


def test_lives_count_from_one() -> None:
    with pytest.raises(ValueError, match="incarnation=0"):
        stream_name(SUPERVISOR, 0)
