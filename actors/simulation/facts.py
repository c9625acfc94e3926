"""What is known of a run when it is over, as plain data: all that the invariants look at.

Times are µs since the simulation's beginning, true time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.simulation.venue import CloseSeen
from audit.records import AuditRecord
from engine.models import CloseResult


@dataclass(slots=True)
class CallSeen:
    """One call that a client made, with its repetitions until it was answered."""

    number: int
    user_id: str
    kind: str
    """``trigger``, ``close`` (one position) or ``bulk``."""
    episode: str
    key: str
    """Idempotency key of each position; empty: each one's own ``position_id``."""
    positions: tuple[str, ...] | None
    volume: float | None
    begun_us: int
    contradicts: int | None = None
    """The call whose key it uses for something else."""
    repeats: int | None = None
    acknowledged_us: int | None = None
    """When ``submit`` returned."""
    ended_us: int | None = None
    status: str = "open"
    """``open``, ``ok``, ``conflict``, ``refused``."""
    results: tuple[CloseResult, ...] = ()
    is_durable: bool = False
    state: str = ""
    """State of the episode that it is told."""
    error: str = ""
    ticket: int | None = None
    was_unanswered: bool = False
    """Whether it had to be made again: what the first one came to, nobody was told."""
    came_late_us: int | None = None
    """When a client that was not answered came again, if it took its time."""
    is_untroubled: bool = False
    """Whether no fault touched its account or the whole engine while it lasted, nor shortly
    before; a disk may have been ill."""


@dataclass(slots=True)
class DealSeen:
    """One execution in an account's book."""

    user_id: str
    ticket: int
    identifier: int
    entry: int
    """0 in, 1 out, 2 turned around, 3 closed by."""
    sign: int
    """+1 for a purchase."""
    volume: float
    price: float
    result: float
    at_us: int
    comment: str
    reason: int
    symbol: str
    order: int = 0


@dataclass(slots=True)
class OpenSeen:
    """A position, or a pending order, that is there at the end."""

    user_id: str
    ticket: int
    symbol: str
    volume: float
    opened_us: int


@dataclass(slots=True)
class AccountSeen:
    """One account and what stood at the end."""

    user_id: str
    is_hedging: bool
    may_be_sent_to: bool
    is_fifo: bool = False
    """Whether its broker wants the oldest position of a symbol closed first."""
    deals: list[DealSeen] = field(default_factory=list)
    closes: list[CloseSeen] = field(default_factory=list)
    open_positions: list[OpenSeen] = field(default_factory=list)
    pending: list[OpenSeen] = field(default_factory=list)
    pending_cancels: list[tuple[int, int]] = field(default_factory=list)
    pending_placed: list[tuple[int, int]] = field(default_factory=list)
    """When (µs) which pending order was placed."""
    locked_by: str | None = None
    """As the supervisor says at the end."""
    met_faults: bool = True
    """Whether a fault touched the account or the whole engine."""
    aliases: dict[int, str] = field(default_factory=dict)
    """Clients' own names, by ticket."""


@dataclass(slots=True)
class Run:
    """A run that is over."""

    seed: int
    observes: bool
    accounts: list[AccountSeen]
    calls: list[CallSeen]
    records: list[AuditRecord]
    """Every record that the journal acknowledged, in order."""
    calm_us: int
    """When the last fault was over."""
    quiet_us: int | None
    """When the engine had nothing left to do; ``None``: never."""
    ended_us: int
    clashes: list[str] = field(default_factory=list)
    """Events that were acknowledged with two contents."""
    chain_problem: str = ""
    """What verifying the store's chains found."""
    missing_from_store: list[str] = field(default_factory=list)
    """Acknowledged events that the store does not hold at the end."""
    unknown_in_store: list[str] = field(default_factory=list)
    """Events that the store holds and nobody was acknowledged."""
    set_aside: list[str] = field(default_factory=list)
    """Events that were kept apart because their own writer contradicts itself."""
    apart: list[tuple[str, int]] = field(default_factory=list)
    """Places of all records that were kept apart: also of those that a later life had made."""
    secrets_found: list[str] = field(default_factory=list)
    open_episodes: list[str] = field(default_factory=list)
    """Episodes that the journal holds open at the end."""
    first_orders: list[FirstOrder] = field(default_factory=list)
    journal_ill: list[tuple[int, int]] = field(default_factory=list)
    """From when until when the journal was full, slow or failing."""
    alarms: list[AlarmSeen] = field(default_factory=list)
    accepted_us: dict[str, int] = field(default_factory=dict)
    """When each episode's mandate was on disk."""
    episodes: list[EpisodeSeen] = field(default_factory=list)
    waits: list[WaitSeen] = field(default_factory=list)
    died_us: dict[str, int] = field(default_factory=dict)
    """When each process that was killed, or taken for dead, was."""
    crash: str = ""
    """What broke the simulation itself, or the engine in it."""

    def account(self, user_id: str) -> AccountSeen:
        """Return an account by name."""
        return next(account for account in self.accounts if account.user_id == user_id)


@dataclass(frozen=True, slots=True)
class AlarmSeen:
    """Something that people were told."""

    at_us: int
    process: str
    """Who told it."""
    text: str


@dataclass(slots=True)
class EpisodeSeen:
    """One episode from its beginning to its recorded end."""

    user_id: str
    name: str
    begun_us: int
    """When its mandate was on disk, or its account began, which may go ahead."""
    waited_us: int | None = None
    """When it first waited for its market."""
    ended_us: int | None = None
    is_on_disk: bool = True
    """Whether its mandate ever was: else nobody was told that it is accepted, and it ends with the
    supervisor's life."""


@dataclass(frozen=True, slots=True)
class WaitSeen:
    """One stretch in which an episode waited for its market."""

    user_id: str
    episode: str
    first_us: int
    """When the episode first waited."""
    opened_us: int
    """When nothing kept the account's markets closed any more, or later: when it began to wait."""
    until_us: int | None
    """When it was at work again, or had ended; ``None``: never."""
    is_troubled: bool
    """Whether anything but a closed market struck the account from the opening to that moment."""


@dataclass(slots=True)
class FirstOrder:
    """How long an episode's first order took on an account that nothing else troubled."""

    user_id: str
    episode: str
    begun_us: int
    sent_us: int | None
    was_disk_ill: bool
    """Whether journal or store were slow, full or away then."""
