"""Final answers: what a life says when it is handed a mandate once more."""

from __future__ import annotations

from dataclasses import replace

from actors.messages import CloseReply
from engine.mandates import Mandate, episode_id_of
from engine.models import PositionRef

MOST_FINALS = 1_000
"""Mandates whose answers a life remembers whole; the results of older ones are still known."""

Scoped = tuple[str, tuple[PositionRef, ...] | None]
"""A mandate by its name and what it covers: a name whose first mandate died with its supervisor,
before it was on disk, may come again with another scope."""


def scoped(mandate: Mandate) -> Scoped:
    """Name a mandate with its scope."""
    return episode_id_of(mandate), mandate.positions


class FinalAnswers:
    """The answers of one life, by mandate: a reply may be lost, or a call doubled."""

    def __init__(self) -> None:
        """Know nothing."""
        self._answers: dict[Scoped, CloseReply] = {}

    def of(self, mandate: Mandate) -> CloseReply | None:
        """Return what was answered to a mandate, without the records that went with it."""
        return self._answers.get(scoped(mandate))

    def keep(self, mandate: Mandate, reply: CloseReply) -> None:
        """Remember an answer, and forget the oldest."""
        self._answers[scoped(mandate)] = replace(reply, records=())
        if len(self._answers) > MOST_FINALS:
            del self._answers[next(iter(self._answers))]
