"""Names that are the same in every life of the engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.brokers.port import LONGEST_TAG
from engine.identity import close_id, close_tag, is_close_tag

TEXT = st.text(max_size=20)


@given(first=st.tuples(TEXT, TEXT, TEXT), second=st.tuples(TEXT, TEXT, TEXT))
def test_only_the_same_close_has_the_same_id(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    assert (close_id(*first) == close_id(*second)) == (first == second)


@given(TEXT, TEXT, TEXT)
def test_a_tag_fits_a_comment_and_is_recognised(user: str, position: str, key: str) -> None:
    tag = close_tag(close_id(user, position, key))
    assert len(tag) <= LONGEST_TAG
    assert tag.isascii()
    assert is_close_tag(tag)


def test_the_names_never_change() -> None:
    """Deals carry them for good: a new version must recognise the old one's."""
    name = close_id("ann", "1", "k")
    assert str(name) == "7a51cb70-c25f-5532-8919-1b7fe81fc412"
    assert close_tag(name) == "RPJI4W4GCL5KTFCIZDN76QH6ECI"


def test_other_comments_are_not_tags() -> None:
    for comment in ("", "R", "by hand", "R" + "a" * 26, "S" + "A" * 26, "R" + "A" * 27):
        assert not is_close_tag(comment)
