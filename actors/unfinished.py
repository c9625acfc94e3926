"""What earlier lives of the supervisor have left unfinished: open episodes, and locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from actors.links import AuditLink
from actors.mandated import makes_flat
from audit.events import mandate_of
from audit.receipts import AccountLock, OpenEpisode
from audit.records import record_of
from engine.mandates import Mandate


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Open episodes and locks, as they stand on record."""

    episodes: tuple[OpenEpisode, ...]
    locks: tuple[AccountLock, ...]

    def mandates(self, alarm: Callable[[str], None]) -> Iterator[tuple[Mandate, OpenEpisode, bool]]:
        """Go through the open episodes in the order in which they were accepted.

        The first to use a key is the one whose key it is.

        Args:
            alarm: told of each episode whose record cannot be read; it stays open on record, and
                the others go on.

        Yields:
            What is to be carried out, its episode, and whether it was let go: it was to make its
            account flat, and the account was released since.
        """
        readable = []
        for episode in self.episodes:
            try:
                record = record_of(episode.body)
                mandate = mandate_of(record)
            except Exception as error:  # noqa: BLE001  # one that is damaged stops no other
                alarm(
                    f"episode {episode.trigger_id} of {episode.user_id} is open, and what it was "
                    f"to do cannot be read: {type(error).__name__}: {error}"
                )
            else:
                readable.append(((record.incarnation, record.seq), mandate, episode))
        for _, mandate, episode in sorted(readable, key=lambda one: one[0]):
            yield mandate, episode, episode.is_released and makes_flat(mandate)


async def read_unfinished(audit: AuditLink) -> Unfinished:
    """Read what is unfinished.

    Raises:
        ActorLost: the audit cannot be reached.
    """
    episodes = await audit.open_episodes()
    # After the episodes: what locks an account is written together with its lock.
    return Unfinished(tuple(episodes), tuple(await audit.locks()))
