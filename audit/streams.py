"""Names of streams: who wrote a record, and in which life.

A stream has one writer: one incarnation of one owner. An owner is ``account:<user_id>`` or
``supervisor``, and its ``n``-th incarnation writes the stream ``<owner>:<n>``. A user id may
hold colons: the number is what follows the last one.
"""

from __future__ import annotations

from engine import arguments

SUPERVISOR = "supervisor"
"""The owner that writes what operators, the API and reconciliation cause."""

_ACCOUNT = "account:"


def account_owner(user_id: str) -> str:
    """Name the owner that stands for one user account."""
    return _ACCOUNT + arguments.nonempty_text("user_id", user_id)


def check_owner(owner: str) -> str:
    """Return ``owner`` if it is one.

    Raises:
        ValueError: it is neither ``supervisor`` nor ``account:<user_id>``.
    """
    arguments.nonempty_text("owner", owner)
    if owner != SUPERVISOR and not owner[len(_ACCOUNT) :].strip():
        arguments.refuse("owner", owner, "it must be 'supervisor' or 'account:<user_id>'")
    if owner != SUPERVISOR and not owner.startswith(_ACCOUNT):
        arguments.refuse("owner", owner, "it must be 'supervisor' or 'account:<user_id>'")
    return owner


def stream_name(owner: str, incarnation: int) -> str:
    """Name the stream of one life of an owner."""
    return f"{check_owner(owner)}:{arguments.positive_integer('incarnation', incarnation)}"


def parse_stream(stream: str) -> tuple[str, int]:
    """Take a stream's name apart into owner and incarnation.

    Raises:
        ValueError: it is not the name of a stream.
    """
    owner, colon, number = stream.rpartition(":")
    if not colon or not (number.isascii() and number.isdigit()) or number.startswith("0"):
        arguments.refuse("stream", stream, "it must be '<owner>:<n>' with n counted from 1")
    return check_owner(owner), int(number)


def user_of(owner: str) -> str | None:
    """Name the user account that an owner stands for; ``None`` for the supervisor."""
    return owner[len(_ACCOUNT) :] if owner.startswith(_ACCOUNT) else None
