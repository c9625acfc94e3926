"""Checks of single arguments: a :class:`ValueError` that names the field, the value, the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import NoReturn, TypeVar

_E = TypeVar("_E", bound=StrEnum)


def refuse(field: str, value: object, allowed: str) -> NoReturn:
    """Raise the one shape of error that bad arguments get."""
    raise ValueError(f"{field}={value!r} is not allowed: {allowed}")


def nonempty_text(field: str, value: object) -> str:
    """Return ``value`` if it is a string with something in it besides white space."""
    if not isinstance(value, str) or not value.strip():
        refuse(field, value, "it must be a non-empty string")
    return value


def positive_integer(field: str, value: object) -> int:
    """Return ``value`` if it is an integer above zero (``True`` is none)."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        refuse(field, value, "it must be a positive integer")
    return value


def finite_number(field: str, value: object) -> float:
    """Return ``value`` as a float if it is a finite real number (``True`` is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(field, value, "it must be a finite number")
    try:
        number = float(value)
    except OverflowError:
        refuse(field, value, "it must be a finite number that a float can hold")
    if not math.isfinite(number):
        refuse(field, value, "it must be a finite number")
    return number


def json_value(field: str, value: object) -> None:
    """Refuse what is no plain JSON value: NaN, infinity, sets, objects, keys that are no text."""
    if isinstance(value, float):
        finite_number(field, value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                refuse(f"{field} key", name, "it must be a string")
            json_value(f"{field}.{name}", item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            json_value(f"{field}[{number}]", item)
    elif value is not None and not isinstance(value, str | int):
        refuse(field, value, "it must be a plain JSON value")


def positive_number(field: str, value: object) -> float:
    """Return ``value`` as a float if it is finite and above zero."""
    number = finite_number(field, value)
    if number <= 0:
        refuse(field, value, "it must be greater than zero")
    return number


def nonnegative_number(field: str, value: object) -> float:
    """Return ``value`` as a float if it is finite and not below zero."""
    number = finite_number(field, value)
    if number < 0:
        refuse(field, value, "it must be zero or greater")
    return number


def fraction(field: str, value: object) -> float:
    """Return ``value`` as a float if it lies above 0 and at or below 1."""
    number = finite_number(field, value)
    if not 0 < number <= 1:
        refuse(field, value, "it must be a fraction above 0 and at most 1 (0.2 is 20 %)")
    return number


def member(field: str, value: object, kind: type[_E]) -> _E:
    """Return the member of ``kind`` that ``value`` names."""
    try:
        return kind(value)  # type: ignore[arg-type]  # StrEnum refuses what it does not hold
    except ValueError:
        refuse(field, value, "it must be one of " + ", ".join(repr(m.value) for m in kind))
