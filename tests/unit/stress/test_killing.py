"""The killer kills live processes with work left, and says how many it could."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from actors.placement import account_name
from actors.stress.chaos_plan import ChaosPlan, Target
from actors.stress.killing import Kill, Killer
from engine.simulated.served import AccountCounts, InFlight

USERS = {"ann": 1, "bob": 2}
POSITIONS = 40
YOUNG = 2**60
"""Arrived in the far future: never too old."""


@dataclass(slots=True)
class Venue:
    """Closes one position of each account at every look, until none is open."""

    in_flight_of: Callable[[int], int | None]
    """Process that waits for an answer, by login."""
    open_positions: dict[int, int] = field(
        default_factory=lambda: dict.fromkeys(USERS.values(), POSITIONS)
    )
    is_closed: bool = False

    def counts(self) -> Mapping[int, AccountCounts]:
        for login, number in self.open_positions.items():
            self.open_positions[login] = max(0, number - 1)
        return {
            login: AccountCounts(login, open_positions=number, closes=POSITIONS - number)
            for login, number in self.open_positions.items()
        }

    def in_flight(self, login: int | None = None) -> Sequence[InFlight]:
        pids = {each: self.in_flight_of(each) for each in self.open_positions}
        return [
            InFlight(each, 1, pid, 1, arrived_us=YOUNG - pid)  # younger: who was killed less
            for each, pid in pids.items()
            if pid is not None and login in (None, each)
        ]

    def close(self) -> None:
        self.is_closed = True


@dataclass(slots=True)
class Living:
    """Processes that are started again at once, or never."""

    starts_again: bool = True
    killed: list[int] = field(default_factory=list)
    pids: dict[str, int] = field(
        default_factory=lambda: {account_name(name): login for name, login in USERS.items()}
    )

    def pid(self, name: str) -> int | None:
        return self.pids.get(name)

    def kill(self, pid: int) -> bool:
        self.killed.append(pid)
        for name, number in list(self.pids.items()):
            if number == pid and self.starts_again:
                self.pids[name] = pid + 100
            elif number == pid:
                del self.pids[name]
        return True

    def of(self, login: int) -> int | None:
        """Return the live process of an account."""
        return next((pid for pid in self.pids.values() if pid % 100 == login), None)


def kills_of(venue: Venue, living: Living, kills: int = 6) -> tuple[Kill, ...]:
    plan = ChaosPlan(kills, seed=3, targets=(Target.ACCOUNT,))
    killer = Killer(plan, venue, living, USERS, {})
    killer.start()
    killer.wait(20.0)
    return killer.stop()


def test_all_kills_are_made_while_there_is_work() -> None:
    living = Living()
    venue = Venue(living.of)
    kills = kills_of(venue, living)
    assert [kill.pid for kill in kills] == living.killed
    assert len(set(living.killed)) == 6
    # The youngest order is answered last, so its sender is the next.
    assert [kill.user_id for kill in kills] == ["ann", "bob"] * 3
    assert [kill.at_us for kill in kills] == sorted(kill.at_us for kill in kills)
    assert venue.is_closed


def test_nothing_is_killed_twice_and_what_could_not_be_killed_is_not_counted() -> None:
    living = Living(starts_again=False)
    assert len(kills_of(Venue(living.of), living)) == 2
    assert sorted(living.killed) == [1, 2]


def test_a_process_that_the_venue_knows_and_the_cluster_does_not_is_left_alone() -> None:
    living = Living()
    assert kills_of(Venue(lambda login: 4_000 + login), living) == ()
    assert living.killed == []


def test_nothing_is_killed_once_all_is_closed() -> None:
    living = Living()
    venue = Venue(living.of, open_positions={1: 0, 2: 0})
    assert kills_of(venue, living) == ()


def test_what_breaks_the_killer_is_told() -> None:
    def broken(login: int) -> int | None:
        raise ConnectionResetError("the venue hung up")

    with pytest.raises(ConnectionResetError, match="hung up"):
        kills_of(Venue(broken), Living())
