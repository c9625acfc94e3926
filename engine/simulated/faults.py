"""The fault menu: what can go wrong between a client and its broker, stated as data.

A :class:`Fault` says what happens, at which call, and when; a :class:`FaultPlan` is a list of
them with a seed. Plans are plain data both ways (:meth:`FaultPlan.from_data`,
:meth:`FaultPlan.to_data`), so a scenario file can hold one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from engine.simulated.api_table import FUNCTIONS
from engine.simulated.numbers import Reason, Retcode


class FaultKind(StrEnum):
    """What goes wrong. Unless a line says otherwise, it does so at ``order_send``."""

    TIMEOUT_AFTER_EXECUTION = "timeout_after_execution"
    """Executed, but answered 10012."""
    TIMEOUT_WITHOUT_EXECUTION = "timeout_without_execution"
    """Answered 10012, never executed."""
    TIMEOUT_THEN_EXECUTED = "timeout_then_executed"
    """Answered 10012, executed after ``delay_ms`` of market time or ``reads``."""
    IPC_ERROR_AFTER_EXECUTION = "ipc_error_after_execution"
    """Executed, but ``None`` and ``last_error`` = ``code``."""
    IPC_ERROR_WITHOUT_EXECUTION = "ipc_error_without_execution"
    """``None`` and ``last_error`` = ``code``; at any call."""
    IPC_ERROR_THEN_EXECUTED = "ipc_error_then_executed"
    """``None`` and ``code``, executed after ``delay_ms`` of market time or ``reads``."""
    PLACED_AFTER_EXECUTION = "placed_after_execution"
    """Executed, but answered 10008 (placed), without a deal."""
    PLACED_WITHOUT_EXECUTION = "placed_without_execution"
    """Answered 10008, never executed."""
    PLACED_THEN_EXECUTED = "placed_then_executed"
    """Answered 10008, executed after ``delay_ms`` of market time or ``reads``."""
    PARTIAL_FILL = "partial_fill"
    """Only ``fraction`` of the volume is filled: 10010 (10009 if that is all of it)."""
    REQUOTE = "requote"
    """10004."""
    PRICE_OFF = "price_off"
    """10021."""
    MARKET_CLOSED = "market_closed"
    """10018; with ``until_ms``: to every matching call before that market time."""
    INVALID_FILL = "invalid_fill"
    """10030."""
    FROZEN = "frozen"
    """10029."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """10024."""
    FIFO = "fifo"
    """10045."""
    RETCODE = "retcode"
    """``code``, whatever it is; nothing is executed."""
    GONE_BY_STOP_LOSS = "gone_by_stop_loss"
    """The position is closed by a stop loss right before the request is handled."""
    GONE_BY_TAKE_PROFIT = "gone_by_take_profit"
    """The same by a take profit."""
    GONE_BY_STOP_OUT = "gone_by_stop_out"
    """The same by a stop-out."""
    GONE_BY_HAND = "gone_by_hand"
    """The same by the account's owner."""
    LATE_DEALS = "late_deals"
    """The request's deals stay out of the history for ``reads`` or ``delay_ms`` of wall time."""
    LINGERING_POSITION = "lingering_position"
    """A closed position is still listed for ``reads`` or ``delay_ms`` of wall time."""
    HANG = "hang"
    """The call waits ``seconds`` before it does anything; at any call."""
    HANG_AFTER_EXECUTION = "hang_after_execution"
    """The request is executed, then the call waits ``seconds`` before it answers."""
    RESTART = "restart"
    """The terminal goes down: every call fails with -10004 until ``initialize()``; at any call."""


RETCODE_OF_KIND: dict[FaultKind, Retcode] = {
    FaultKind.REQUOTE: Retcode.REQUOTE,
    FaultKind.PRICE_OFF: Retcode.PRICE_OFF,
    FaultKind.MARKET_CLOSED: Retcode.MARKET_CLOSED,
    FaultKind.INVALID_FILL: Retcode.INVALID_FILL,
    FaultKind.FROZEN: Retcode.FROZEN,
    FaultKind.TOO_MANY_REQUESTS: Retcode.TOO_MANY_REQUESTS,
    FaultKind.FIFO: Retcode.FIFO_CLOSE,
    FaultKind.TIMEOUT_AFTER_EXECUTION: Retcode.TIMEOUT,
    FaultKind.TIMEOUT_WITHOUT_EXECUTION: Retcode.TIMEOUT,
    FaultKind.TIMEOUT_THEN_EXECUTED: Retcode.TIMEOUT,
    FaultKind.PLACED_AFTER_EXECUTION: Retcode.PLACED,
    FaultKind.PLACED_WITHOUT_EXECUTION: Retcode.PLACED,
    FaultKind.PLACED_THEN_EXECUTED: Retcode.PLACED,
}
"""The answer of the kinds that have one of their own."""

REASON_OF_KIND: dict[FaultKind, Reason] = {
    FaultKind.GONE_BY_STOP_LOSS: Reason.SL,
    FaultKind.GONE_BY_TAKE_PROFIT: Reason.TP,
    FaultKind.GONE_BY_STOP_OUT: Reason.SO,
    FaultKind.GONE_BY_HAND: Reason.CLIENT,
}
"""Who closes the position, by the kinds in which it goes in between."""

EXECUTED_FIRST = frozenset(
    {
        FaultKind.TIMEOUT_AFTER_EXECUTION,
        FaultKind.IPC_ERROR_AFTER_EXECUTION,
        FaultKind.PLACED_AFTER_EXECUTION,
    }
)
"""Kinds whose answer hides an execution."""

EXECUTED_LATER = frozenset(
    {
        FaultKind.TIMEOUT_THEN_EXECUTED,
        FaultKind.IPC_ERROR_THEN_EXECUTED,
        FaultKind.PLACED_THEN_EXECUTED,
    }
)
"""Kinds that execute after they have answered."""

IPC_ERRORS = frozenset(kind for kind in FaultKind if kind.value.startswith("ipc_error"))
"""Kinds that answer ``None`` and leave their code in ``last_error``."""

COMPANIONS = frozenset(
    {
        *REASON_OF_KIND,
        FaultKind.LATE_DEALS,
        FaultKind.LINGERING_POSITION,
        FaultKind.HANG,
        FaultKind.HANG_AFTER_EXECUTION,
    }
)
"""Kinds that leave the answer alone: any number of them can meet in one call with one other."""

_HIDING = frozenset({FaultKind.LATE_DEALS, FaultKind.LINGERING_POSITION})
_HANGING = frozenset({FaultKind.HANG, FaultKind.HANG_AFTER_EXECUTION})
_AT_ANY_CALL = frozenset({FaultKind.IPC_ERROR_WITHOUT_EXECUTION, FaultKind.HANG, FaultKind.RESTART})
IPC_CODES = frozenset({-1, -2, -8, *range(-10005, -9999)})
"""What an IPC fault may leave in ``last_error``."""

_KINDS_OF_FIELD: dict[str, frozenset[FaultKind]] = {
    "code": IPC_ERRORS | {FaultKind.RETCODE},
    "reads": EXECUTED_LATER | _HIDING,
    "delay_ms": EXECUTED_LATER | _HIDING,
    "until_ms": frozenset({FaultKind.MARKET_CLOSED}),
    "seconds": frozenset(FaultKind) - (COMPANIONS - _HANGING),
    "fraction": frozenset({FaultKind.PARTIAL_FILL}),
}
"""The fields that only some kinds have; all others belong to every kind."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    A call *matches* when ``call``, ``ticket`` and ``symbol`` agree with it. Without ``nth`` and
    ``rate`` the fault fires at the first match.

    Raises:
        ValueError: A field has a value that it cannot have; the message names both.
    """

    kind: FaultKind
    call: str = "order_send"
    """Name of the function; ``"*"`` for all, with the kinds that can happen at any call."""
    ticket: int | None = None
    """The position (or pending order) that the call must name."""
    symbol: str | None = None
    nth: int | None = None
    """Fires from the nth matching call on, counted from 1."""
    rate: float = 0.0
    """Probability with which each match fires; 0: every match."""
    times: int | None = None
    """Fires this often at most; ``None``: once without ``rate``, without limit with it."""
    code: int | None = None
    """Return code (RETCODE) or error code (IPC kinds; default -10000)."""
    reads: int | None = None
    """Reads of positions or deals for which a fact is hidden, or after which it happens."""
    delay_ms: float | None = None
    """Market time until a delayed execution; wall time for which a fact is hidden."""
    until_ms: int | None = None
    """Market time at which MARKET_CLOSED ends."""
    seconds: float = 0.0
    """Wall time that the call takes besides its latency, by way of the terminal's ``pause``.

    Not with the companions, except the two that hang, which need it.
    """
    fraction: float = 0.5
    """Part of the volume that PARTIAL_FILL fills."""

    def __post_init__(self) -> None:
        """Check every field, as plans come from files."""
        try:
            kind = FaultKind(self.kind)
        except ValueError:
            kinds = ", ".join(sorted(FaultKind))
            raise ValueError(
                f"kind={self.kind!r} is no kind of fault; take one of {kinds}"
            ) from None
        object.__setattr__(self, "kind", kind)
        for name in ("ticket", "nth", "times", "reads"):
            _check_int(name, getattr(self, name), least=1)
        for name in ("code", "until_ms"):
            _check_int(name, getattr(self, name), least=None)
        _check_number("rate", self.rate, most=1.0)
        _check_number("seconds", self.seconds)
        _check_number("fraction", self.fraction, most=1.0)
        if self.delay_ms is not None:
            _check_number("delay_ms", self.delay_ms)
        if self.symbol is not None and not isinstance(self.symbol, str):
            raise ValueError(f"symbol={self.symbol!r} must be a name or null")
        self._check_call()
        self._check_belongs()
        self._check_needs()

    def _check_call(self) -> None:
        if not isinstance(self.call, str):
            raise ValueError(f"call={self.call!r} must be the name of a function, or '*' for all")
        if self.call == "order_send":
            return
        if self.kind not in _AT_ANY_CALL:
            raise ValueError(f"call={self.call!r}: {self.kind} happens at 'order_send' only")
        if self.call != "*" and (self.call not in FUNCTIONS or self.call == "last_error"):
            raise ValueError(
                f"call={self.call!r} is no function that can fail; take one of the package's "
                f"functions, such as 'positions_get', or '*' for all"
            )

    def _check_belongs(self) -> None:
        for field in fields(self):
            kinds = _KINDS_OF_FIELD.get(field.name)
            value = getattr(self, field.name)
            if kinds is not None and self.kind not in kinds and value != field.default:
                raise ValueError(
                    f"{field.name}={value!r} does not belong to {self.kind}, which would ignore "
                    f"it; remove it"
                )

    def _check_needs(self) -> None:
        if self.kind in _HANGING and not self.seconds:
            raise ValueError(
                f"seconds={self.seconds!r}: {self.kind} needs how long it waits, above 0"
            )
        if self.kind in EXECUTED_LATER | _HIDING and not (self.reads or self.delay_ms):
            raise ValueError(
                f"reads={self.reads!r}, delay_ms={self.delay_ms!r}: {self.kind} needs one"
            )
        if self.kind is FaultKind.RETCODE and self.code is None:
            raise ValueError("code=None: retcode needs the code to answer with, such as 10006")
        if self.kind in IPC_ERRORS and self.code is not None and self.code not in IPC_CODES:
            codes = ", ".join(str(code) for code in sorted(IPC_CODES))
            raise ValueError(f"code={self.code!r} is no error of the binding; take one of {codes}")
        if self.fraction <= 0:
            raise ValueError(f"fraction={self.fraction!r} must be above 0")

    @property
    def most_times(self) -> float:
        """How often the fault can fire."""
        if self.times is not None:
            return self.times
        return math.inf if self.rate or self.until_ms is not None else 1

    def to_data(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults as plain data."""
        data: dict[str, Any] = {"kind": self.kind.value}
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                data[field.name] = value
        return data


def _check_int(name: str, value: object, least: int | None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}={value!r} must be an integer or null")
    if least is not None and value < least:
        raise ValueError(f"{name}={value!r} must be {least} or above, or null")


def _check_number(name: str, value: object, most: float = math.inf) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (0 <= value <= most and math.isfinite(value))
    ):
        bound = "0 or above" if math.isinf(most) else f"from 0 to {most}"
        raise ValueError(f"{name}={value!r} must be a finite number, {bound}")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults, and the seed from which their chances are drawn."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the seed: a plan that cannot be repeated is none."""
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"seed={self.seed!r} of a fault plan must be an integer")

    @classmethod
    def from_data(
        cls,
        data: Mapping[str, Any] | Iterable[Mapping[str, Any]],
        seed: int | None = None,
    ) -> FaultPlan:
        """Build a plan from plain data.

        Args:
            data: The faults, one mapping each, its keys the fields of :class:`Fault`; or a
                mapping of ``faults`` to them and of ``seed`` to the seed.
            seed: Instead of the one in ``data``; 0 if neither has one.

        Raises:
            ValueError: An entry is wrong; the message gives its place, the field and the value.
        """
        entries: object = data
        if isinstance(data, Mapping):
            for key in data:
                if key not in ("faults", "seed"):
                    raise ValueError(f"{key!r} is no field of a fault plan; it has faults and seed")
            if "faults" not in data:
                raise ValueError("faults is missing in a fault plan; give the list of its faults")
            entries = data["faults"]
            seed = data.get("seed", 0) if seed is None else seed
        if isinstance(entries, (str, bytes, Mapping)) or not isinstance(entries, Iterable):
            raise ValueError(
                f"faults={entries!r} must be a list of mappings, one for each fault, such as "
                f"[{{'kind': 'requote'}}]"
            )
        faults = tuple(_fault(place, entry) for place, entry in enumerate(entries))
        return cls(faults, 0 if seed is None else seed)

    def to_data(self) -> dict[str, Any]:
        """Return the plan as plain data, ready for JSON: its seed and its faults."""
        return {"seed": self.seed, "faults": [fault.to_data() for fault in self.faults]}


def _fault(place: int, entry: object) -> Fault:
    if not isinstance(entry, Mapping):
        raise ValueError(f"faults[{place}]={entry!r} must be a mapping of fields to values")
    known = [field.name for field in fields(Fault)]
    for key in entry:
        if key not in known:
            raise ValueError(
                f"faults[{place}]: {key!r} is no field of a fault; fields are {', '.join(known)}"
            )
    if "kind" not in entry:
        raise ValueError(f"faults[{place}]: kind is missing")
    try:
        return Fault(**entry)
    except ValueError as error:
        raise ValueError(f"faults[{place}]: {error}") from None
