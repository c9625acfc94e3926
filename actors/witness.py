"""Witness: puts on record what an account held when an episode met it, and what was left.

Nothing is read for it before an order: what is noted is what closing has read by itself. Nothing
is sealed before the first order either; the first result that is recorded brings the sighting
along, so that little is lost with the process.
"""

from __future__ import annotations

from actors.mandated import initiator_of
from actors.recording import RecordKeeper
from audit.sightings import Moment, account_seen
from engine.closing import AccountCloser
from engine.mandates import Mandate, episode_id_of
from engine.sighting import Sighting


class Witness:
    """What one life of an account has seen of it around its episodes.

    Args:
        closer: of the account; it reads.
        keeper: takes the records, as long as it has room for more than closes.
        incarnation: the life.
    """

    def __init__(self, closer: AccountCloser, keeper: RecordKeeper, incarnation: int) -> None:
        """Begin without an episode."""
        self._closer = closer
        self._keeper = keeper
        self._incarnation = incarnation
        self._mandate: Mandate | None = None

    def begin(self, mandate: Mandate, *, goes_on: bool = False) -> None:
        """Begin with an episode; one that goes on in this life was met before."""
        self._closer.sightings.clear()
        self._mandate = None if goes_on else mandate

    def met(self) -> None:
        """Put the first sighting on record, unless that was done or nothing was seen."""
        if self._mandate is not None and self._closer.sightings:
            self._keep(self._mandate, Moment.BEFORE, self._closer.sightings[0])
            self._mandate = None

    def left(self, mandate: Mandate, seen: Sighting | None) -> None:
        """Put on record what is left when nothing more is to be closed, if that was read."""
        self.met()
        if seen is not None:
            self._keep(mandate, Moment.AFTER, seen)

    def _keep(self, mandate: Mandate, moment: Moment, seen: Sighting) -> None:
        self._keeper.keep_if_room(
            account_seen(
                mandate.user_id,
                episode_id_of(mandate),
                moment,
                seen,
                incarnation=self._incarnation,
                initiator=initiator_of(mandate),
            )
        )
