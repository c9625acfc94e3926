"""The one way to write JSON that is hashed: the same data is always the same bytes.

Canonical form, version 1: keys sorted by code point, no white space, ASCII only (everything else
as ``\\uXXXX``, so no later step can re-encode it), floats in Python's shortest exact form,
times as integers (microseconds since 1970 UTC), no NaN and no infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

VERSION = 1
"""Version of the canonical form and of what is hashed."""


def _plain(value: object) -> object:
    """Let read-only mappings and other sequences through; refuse what is not data."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(
        f"{value!r} of type {type(value).__name__} has no place in a record: "
        "use text, numbers, booleans, None, lists and mappings"
    )


_strict = json.JSONEncoder(
    ensure_ascii=True,
    sort_keys=True,
    allow_nan=False,
    check_circular=False,
    separators=(",", ":"),
    default=_plain,
).encode
_readable = json.JSONEncoder(ensure_ascii=False).encode
_decode = json.JSONDecoder().decode


def encode(value: object) -> str:
    """Write ``value`` in canonical form; the result is ASCII.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: something in it is no JSON value.
    """
    return _strict(value)


def encode_anything(value: object) -> str:
    """Write ``value`` in canonical form, whatever it holds.

    For facts that must be kept even if a broker's binding hands out something odd: numbers that
    are not finite become the texts ``NaN``, ``Infinity``, ``-Infinity``, other objects their
    ``repr``, keys become texts, and lone surrogates are made visible.
    """
    try:
        text = _strict(value)
    except (TypeError, ValueError, RecursionError):
        text = _strict(_tame(value, 0))
    if "\\ud" in text and not _is_unicode(text):
        text = _strict(_tame(decode(text), 0))
    return text


def decode(text: str) -> Any:
    """Read what :func:`encode` wrote.

    Raises:
        ValueError: it is not JSON.
    """
    return _decode(text)


_DEEPEST = 32


def _is_unicode(text: str) -> bool:
    """Whether what ``text`` stands for is free of lone surrogates, which databases refuse."""
    try:
        _readable(decode(text)).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _tame(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _unicode(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else name_of_number(value)
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {_unicode(str(key)): _tame(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [_tame(item, depth + 1) for item in value]
        if isinstance(value, AbstractSet):
            return sorted((_tame(item, depth + 1) for item in value), key=repr)
    return _unicode(repr(value))


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of_number(value: float) -> str:
    """Name a number that JSON does not have: ``float`` reads the name back."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def write_number(value: float | None) -> float | str | None:
    """Return ``value`` as JSON can hold it; :func:`read_number` gives it back, whatever it is."""
    return value if value is None or math.isfinite(value) else name_of_number(value)


def read_number(value: float | str | None) -> float | None:
    """Read what :func:`write_number` wrote."""
    return float(value) if isinstance(value, str) else value
