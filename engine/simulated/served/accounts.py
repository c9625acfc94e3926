"""The plan of a venue: its prices, its accounts and what they hold, and how it behaves.

Plain data both ways, so that a file can hold one: a venue process gets it so, and rebuilds the
prices by itself instead of being sent them.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from engine.brokers.port import Side
from engine.prices import PricePath, read_prices, scenario
from engine.simulated.account import AccountSettings
from engine.simulated.faults import FaultPlan
from engine.simulated.market import Market
from engine.simulated.numbers import MarginMode
from engine.simulated.price_shocks import with_shocks
from engine.simulated.served.behaviour import VenueBehaviour

_STRICT: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSource:
    """Where a venue takes its prices: a scenario, a terminal's export, or ticks written out."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    scenario: str | None = None
    """Name of a generated scenario; ``seed`` is its seed."""
    seed: int = 1
    file: str | None = None
    """A terminal's export; ``symbol`` is its symbol."""
    symbol: str | None = None
    """Of the file, or of the ticks."""
    ticks: tuple[tuple[int, float, float], ...] = ()
    """Market time in ms, bid and ask of each, for small markets of tests."""
    digits: int = 5
    """Of the ticks."""
    shocks: tuple[Mapping[str, Any], ...] = ()
    """What happens to the prices, as data; see :func:`engine.simulated.with_shocks`."""

    def __post_init__(self) -> None:
        """Refuse none and more than one source."""
        given = [
            name for name in ("scenario", "file", "ticks") if getattr(self, name) not in (None, ())
        ]
        if len(given) != 1:
            raise ValueError(
                f"prices have {' and '.join(given) or 'no source'}; give exactly one of "
                "scenario, file (with symbol) and ticks (with symbol)"
            )
        if self.scenario is None and self.symbol is None:
            raise ValueError(f"symbol=None: prices from {given[0]} need the symbol's name")

    def path(self) -> PricePath:
        """Read or generate the prices.

        Raises:
            ValueError: The file, the scenario or a shock is no good; the message names it.
        """
        if self.scenario is not None:
            prices = scenario(self.scenario).generate(self.seed)
        elif self.file is not None:
            prices = read_prices(Path(self.file), self.symbol or "")
        else:
            prices = PricePath(
                symbol=self.symbol or "",
                digits=self.digits,
                source="ticks of the plan",
                times_ms=array("q", [tick[0] for tick in self.ticks]),
                bids=array("d", [tick[1] for tick in self.ticks]),
                asks=array("d", [tick[2] for tick in self.ticks]),
            )
        return with_shocks(prices, self.shocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAccount:
    """One account of a venue before the first tick."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    login: int
    user_id: str
    deposit: float = 10_000.0
    currency: str = "USD"
    account_leverage: int = 500
    """What the broker lends, for the margin."""
    positions: tuple[tuple[Side, float], ...] = ()
    """Side and lots of what is opened, once, at the first prices."""
    netting: bool = False
    """One net position for a symbol instead of one for every order."""
    stop_out: float = 0.0
    """Margin level in per cent at which the broker itself closes; 0 is never."""
    faults: Mapping[str, Any] = field(default_factory=dict)
    """What goes wrong at this account's terminal, as :meth:`FaultPlan.from_data` reads it."""

    def settings(self) -> AccountSettings:
        """Return what the broker lays down.

        Raises:
            ValueError: A field is outside what an account can have.
        """
        return AccountSettings(
            login=self.login,
            name=self.user_id,
            deposit=self.deposit,
            currency=self.currency,
            leverage=self.account_leverage,
            margin_mode=MarginMode.NETTING if self.netting else MarginMode.HEDGING,
            stop_out=self.stop_out,
            margin_call=0.0,
        )

    def fault_plan(self) -> FaultPlan:
        """Return the account's faults.

        Raises:
            ValueError: A fault is wrong; the message names the account.
        """
        try:
            return FaultPlan.from_data(self.faults) if self.faults else FaultPlan()
        except ValueError as error:
            raise ValueError(f"account {self.login}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePlan:
    """Everything that decides what a venue process holds and does.

    Raises:
        ValueError: Two accounts have one login or one user.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    prices: PriceSource
    accounts: tuple[ServedAccount, ...]
    behaviour: VenueBehaviour = field(default_factory=VenueBehaviour)
    stand_at_ms: int | None = None
    """Market time to which every account is moved after its positions are opened."""
    speed: float = 0.0
    """Market seconds for a wall second of a replay; 0 is as fast as the machine can."""

    def __post_init__(self) -> None:
        """Refuse accounts that could not be told apart."""
        for name in ("login", "user_id"):
            seen: set[object] = set()
            for account in self.accounts:
                value = getattr(account, name)
                if value in seen:
                    raise ValueError(f"{name}={value!r} stands for two accounts; give each its own")
                seen.add(value)

    def market(self) -> Market:
        """Build the prices that all accounts share.

        Raises:
            ValueError: The prices cannot be had.
        """
        return Market([self.prices.path()])

    def account(self, login: int) -> ServedAccount:
        """Return the account with a login.

        Raises:
            ValueError: There is none.
        """
        for account in self.accounts:
            if account.login == login:
                return account
        raise ValueError(f"login={login!r} is no account of this venue")

    def with_behaviour(self, **changes: Any) -> VenuePlan:
        """Return the same plan with fields of its behaviour changed."""
        return replace(self, behaviour=replace(self.behaviour, **changes))

    def to_json(self) -> str:
        """Write the plan as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> VenuePlan:
        """Read a plan.

        Raises:
            ValueError: It is no plan; the message names each field and its value.
        """
        # Imported here: an account's process has this module, and needs no validation.
        from pydantic import TypeAdapter

        plan: VenuePlan = TypeAdapter(VenuePlan).validate_json(text)
        return plan
