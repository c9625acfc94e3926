"""A secret is found in whatever form it is quoted, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from engine.brokers.redaction import HIDDEN, Redaction

HOSTILE = [
    "hunter2secret",
    """it's\\x"q""",
    "a\nb",
    "tab\tnull\0bell\a",
    "'''\"\"\"",
    "\\\\server\\\\n\\",
    "päss-wörd",
    "пароль",
    "key\U0001f511lock",
    "zero\u200bwidth\ud800",
    "a.b*c(d)[e]{f}^$|?+",
]
QUOTINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "twice": lambda text: repr(repr(text)),
    "in a dict, thrice": lambda text: repr(repr(repr({"password": text}))),
    "among both quotes": lambda text: repr(repr({"a'b": 'c"d', "password": text})),
    "ascii": ascii,
    "JSON": json.dumps,
    "JSON, twice": lambda text: json.dumps(json.dumps({"password": text})),
    "JSON of repr": lambda text: json.dumps(repr(text)),
    "bytes": lambda text: repr(text.encode("utf-8", "surrogatepass")),
}


@pytest.mark.parametrize("quote", QUOTINGS.values(), ids=QUOTINGS)
@pytest.mark.parametrize("secret", HOSTILE, ids=ascii)
def test_every_form_is_hidden(secret: str, quote: Callable[[str], str]) -> None:
    shown = Redaction(secret)(quote(f"<{secret}> refused"))
    # What stands around it stays: nothing but the secret is between the marks.
    assert shown.partition("<")[2].partition(">")[0] == HIDDEN
    assert "refused" in shown


def test_the_rest_of_a_text_stays() -> None:
    assert Redaction("secret")("a secre t, 'Secret', \\n") == "a secre t, 'Secret', \\n"
    assert Redaction("a\\b")("ab") == "ab"


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_hidden(secret: str | None) -> None:
    redact = Redaction(secret)
    assert redact("as it was") == "as it was"
    assert redact.is_clean(ValueError("as it was"))


def test_a_description_is_one_line_even_if_the_secret_is_two() -> None:
    redact = Redaction("first\nsecond")
    assert redact.describe(OSError("got first\nsecond here\nTraceback")) == (
        f"OSError: got {HIDDEN} here"
    )
    assert redact.describe(EOFError()) == "EOFError"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def in_context(error: Exception, context: Exception) -> Exception:
    error.__context__ = context
    return error


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("s'e\\c"),
        ValueError({"password": "s'e\\c"}),
        caused(ValueError("fine"), OSError(repr("s'e\\c"))),
        in_context(ValueError("fine"), caused(OSError("fine"), KeyError("s'e\\c"))),
        noted(ValueError("fine"), "called with s'e\\c"),
        ExceptionGroup("fine", [ValueError("fine"), ValueError("s'e\\c")]),
    ],
    ids=ascii,
)
def test_an_error_is_unclean_by_anything_in_its_chain(error: Exception) -> None:
    assert not Redaction("s'e\\c").is_clean(error)
    assert Redaction("another").is_clean(error)


def test_a_chain_that_bites_its_tail_is_followed_once() -> None:
    first, second = ValueError("fine"), OSError("fine")
    first.__context__, second.__context__ = second, first
    assert Redaction("secret").is_clean(first)
