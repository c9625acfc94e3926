"""What chaos is asked for: how many kills, of which processes, drawn from which seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

MOST_KILLS = 1_000
LATEST_KILL = 0.85
"""Part of the positions that is closed when the last kill is due: it still has to be met."""


class Target(StrEnum):
    """A kind of process that can be killed."""

    ACCOUNT = "account"
    SUPERVISOR = "supervisor"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """Kills at moments that a seed decides."""

    kills: int
    seed: int
    targets: tuple[Target, ...] = tuple(Target)

    @classmethod
    def parse(cls, text: str) -> ChaosPlan:
        """Read ``kills=N,seed=S[,targets=account,supervisor,audit]``.

        Raises:
            ValueError: It is no such text; the message names what is wrong and what is allowed.
        """
        given: dict[str, list[str]] = {}
        name = ""
        for part in text.split(","):
            key, separator, value = part.partition("=")
            if separator:
                name = key.strip()
                if name in given:
                    raise ValueError(f"chaos={text!r} gives {name!r} twice")
                given[name] = [value.strip()]
            elif name == "targets":
                given[name].append(part.strip())
            else:
                raise ValueError(f"chaos={text!r}: {part!r} is no NAME=VALUE; {_FORM}")
        unknown = set(given) - {"kills", "seed", "targets"}
        if unknown:
            raise ValueError(f"chaos={text!r}: {min(unknown)!r} is unknown; {_FORM}")
        return cls(
            kills=_number(text, given, "kills", 1, MOST_KILLS),
            seed=_number(text, given, "seed", 0, 2**63 - 1),
            targets=_targets(text, given.get("targets")),
        )

    def deck(self) -> list[Target]:
        """Return the kinds to kill, in a random order that the seed decides.

        Half of the kills are accounts', where an order can be in flight; the others share the
        rest evenly.
        """
        others = [kind for kind in self.targets if kind is not Target.ACCOUNT]
        accounts = 0
        if Target.ACCOUNT in self.targets:
            accounts = -(-self.kills // 2) if others else self.kills
        rest = self.kills - accounts
        deck = [Target.ACCOUNT] * accounts
        deck += [others[number % len(others)] for number in range(rest)]
        Random(f"{self.seed}/deck").shuffle(deck)
        return deck

    def moments(self) -> list[float]:
        """Return when each kill is due: as the part of all positions that is closed by then."""
        random = Random(f"{self.seed}/moments")
        return [
            (number + random.random()) / self.kills * LATEST_KILL for number in range(self.kills)
        ]


_FORM = "it must look like kills=20,seed=1 or kills=20,seed=1,targets=account,supervisor,audit"


def _number(text: str, given: dict[str, list[str]], name: str, low: int, high: int) -> int:
    if name not in given:
        raise ValueError(f"chaos={text!r} lacks {name}=; {_FORM}")
    (value,) = given[name]
    if not value.isascii() or not value.isdecimal() or not low <= int(value) <= high:
        raise ValueError(
            f"chaos={text!r}: {name}={value!r} must be a whole number from {low} to {high}"
        )
    return int(value)


def _targets(text: str, names: list[str] | None) -> tuple[Target, ...]:
    if names is None:
        return tuple(Target)
    for name in names:
        if name not in tuple(Target):
            raise ValueError(
                f"chaos={text!r}: target {name!r} is unknown; there are {', '.join(Target)}"
            )
    return tuple(kind for kind in Target if kind.value in names)
