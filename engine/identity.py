"""Deterministic names for closes: the same close has the same id in every life of the engine."""

from __future__ import annotations

import json
import re
from base64 import b32encode
from uuid import UUID, uuid5

from engine.brokers.port import LONGEST_TAG

_CLOSES = UUID("6b6bb5a9-6fd1-5d0c-9d51-5f5f36c29d7c")
_SWEEPS = UUID("0d0b4f4e-9a0a-5be3-8a10-50f9a1d1b2c4")
_GUARDS = UUID("5f0e9c62-7a1b-5c7e-9a55-2d8f6f0f3b17")
_TAG_PREFIX = "R"
_TAG = re.compile(_TAG_PREFIX + "[A-Z2-7]{26}")


def close_id(user_id: str, position: str, key: str) -> UUID:
    """Name the close of ``position`` under an idempotency key: UUIDv5 of the three.

    The parts are joined as a JSON list, so that no choice of texts makes two closes collide.
    """
    return uuid5(_CLOSES, json.dumps([user_id, position, key], ensure_ascii=True))


def close_tag(close: UUID) -> str:
    """Shorten a close id to an order comment: 27 ASCII characters, prefix included.

    Base32 keeps all 128 bits, so a later incarnation recognises its predecessor's deals.
    """
    tag = _TAG_PREFIX + b32encode(close.bytes).decode("ascii").rstrip("=")
    assert len(tag) <= LONGEST_TAG
    return tag


def sweep_trigger_id(episode: str, number: int) -> str:
    """Name the follow-up trigger ``number`` of an episode."""
    return str(uuid5(_SWEEPS, json.dumps([episode, number], ensure_ascii=True)))


def guard_trigger_id(user_id: str, guard: str, tripped_us: int) -> str:
    """Name the trigger of a guard that tripped at a moment (µs UTC)."""
    return str(uuid5(_GUARDS, json.dumps([user_id, guard, tripped_us], ensure_ascii=True)))


def is_close_tag(comment: str) -> bool:
    """Whether an order comment has the form of this engine's close tags."""
    return _TAG.fullmatch(comment) is not None
