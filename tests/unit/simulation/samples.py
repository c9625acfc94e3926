"""Hand-made runs: a good one, and the parts to spoil it with."""

from __future__ import annotations

from typing import Any

from actors.simulation.facts import AccountSeen, CallSeen, DealSeen, OpenSeen, Run
from actors.simulation.venue import CloseSeen
from audit.chain import ChainWriter
from audit.closes import close_record
from audit.events import (
    account_locked,
    account_released,
    episode_finished,
    reversal,
    trigger_accepted,
)
from audit.records import AuditRecord, record_of
from engine.brokers.port import Position, Side
from engine.clock import to_datetime
from engine.identity import close_id, close_tag
from engine.models import Attempt, CloseEvidence, CloseResult, GuardTrigger, GuardType, Severity
from engine.outcomes import Outcome, Verdict

USER = "ann"
TICKET = 1001
KEY = "crash"
_T = 1_700_000_000_000_000
ATTEMPT = Attempt(1, _T, _T + 10, Verdict.DONE, 10009, "done", 0.5, 0.5, 1.1)


def tag(key: str = KEY, ticket: int = TICKET) -> str:
    return close_tag(close_id(USER, str(ticket), key))


def result(key: str = KEY, ticket: int = TICKET, **changes: Any) -> CloseResult:
    values: dict[str, Any] = {
        "success": True,
        "position_id": str(ticket),
        "ticket": ticket,
        "closed_price": 1.1,
        "pnl": 0.0,
        "close_reason": "drawdown: test",
        "close_timestamp": to_datetime(1_700_000_000_000_000),
        "error_message": None,
        "close_id": str(close_id(USER, str(ticket), key)),
        "outcome": Outcome.DONE,
        "attempts": 1,
        "volume": 0.5,
        "durable": True,
    }
    return CloseResult(**{**values, **changes})


def trigger(key: str = KEY) -> GuardTrigger:
    return GuardTrigger(
        USER,
        GuardType.DRAWDOWN,
        "test",
        Severity.CRITICAL,
        None,
        key,
        to_datetime(1_700_000_000_000_000),
    )


def closed(
    key: str = KEY, ticket: int = TICKET, *, is_summary: bool = False, **changes: Any
) -> AuditRecord:
    evidence = CloseEvidence(
        key=key,
        fingerprint=f"1:{ticket}:all",
        initiator="drawdown",
        trigger_id=key,
        position=str(ticket),
        symbol="EURUSD",
        side=Side.LONG,
        volume_before=0.5,
        attempts=() if is_summary else (ATTEMPT,),
        deals=(),
    )
    return close_record(result(key, ticket, **changes), evidence, user_id=USER)


def accepted(key: str = KEY) -> AuditRecord:
    return trigger_accepted(trigger(key), occurred_at=1)


def finished(key: str = KEY, residual: int = 0) -> AuditRecord:
    return episode_finished(key, USER, occurred_at=2, closed=1, residual=residual)


def locked(key: str = KEY) -> AuditRecord:
    return account_locked(USER, key, occurred_at=1)


def released() -> AuditRecord:
    return account_released(USER, occurred_at=9, initiator="operator")


def turned() -> AuditRecord:
    there = Position(2, 2, "EURUSD", Side.LONG, 0.5, 1.1, 1.1, 0.0, 0.0, 0)
    return reversal(USER, str(TICKET), there, occurred_at=3)


def sealed(stream: str, *records: AuditRecord) -> list[AuditRecord]:
    chain = ChainWriter(stream)
    return [record_of(chain.seal(record).body) for record in records]


def close(number: int = 1, sent_us: int = 1_000, **changes: Any) -> CloseSeen:
    values: dict[str, Any] = {
        "user_id": USER,
        "number": number,
        "process": "ann/1",
        "ticket": TICKET,
        "symbol": "EURUSD",
        "volume": 0.5,
        "tag": tag(),
        "sent_us": sent_us,
        "read_volume": 0.5,
        "read_at_us": sent_us - 1,
        "open_before": 0.5,
        "arrived_us": sent_us + 10,
        "answered_us": sent_us + 20,
        "acts_until_us": sent_us + 10,
        "executed_volume": 0.5,
        "executed_us": sent_us + 10,
    }
    return CloseSeen(**{**values, **changes})


def deal(number: int, entry: int, at_us: int, **changes: Any) -> DealSeen:
    values: dict[str, Any] = {
        "user_id": USER,
        "ticket": number,
        "identifier": TICKET,
        "entry": entry,
        "sign": 1 if entry == 0 else -1,
        "volume": 0.5,
        "price": 1.1,
        "result": 0.0,
        "at_us": at_us,
        "comment": "" if entry == 0 else tag(),
        "reason": 3,
        "symbol": "EURUSD",
    }
    return DealSeen(**{**values, **changes})


def call(number: int = 0, **changes: Any) -> CallSeen:
    values: dict[str, Any] = {
        "number": number,
        "user_id": USER,
        "kind": "trigger",
        "episode": KEY,
        "key": KEY,
        "positions": None,
        "volume": None,
        "begun_us": 900,
        "acknowledged_us": 950,
        "ended_us": 2_000,
        "status": "ok",
        "results": (result(),),
        "is_durable": True,
        "state": "flat",
    }
    return CallSeen(**{**values, **changes})


def account(**changes: Any) -> AccountSeen:
    values: dict[str, Any] = {
        "user_id": USER,
        "is_hedging": True,
        "may_be_sent_to": True,
        "deals": [deal(1, 0, 0), deal(2, 1, 1_010)],
        "closes": [close()],
        "locked_by": KEY,
    }
    return AccountSeen(**{**values, **changes})


def opened(ticket: int = TICKET, at_us: int = 0) -> OpenSeen:
    return OpenSeen(USER, ticket, "EURUSD", 0.5, at_us)


def good_run(**changes: Any) -> Run:
    """One account, one position, one critical trigger that closed it."""
    values: dict[str, Any] = {
        "seed": 1,
        "observes": False,
        "accounts": [account()],
        "calls": [call()],
        "records": [
            *sealed("supervisor:1", accepted(), locked(), finished()),
            *sealed("account:ann:1", closed()),
        ],
        "calm_us": 10_000,
        "quiet_us": 11_000,
        "ended_us": 12_000,
    }
    return Run(**{**values, **changes})


def given_up_at_once() -> Run:
    nothing = call(state="residual", results=(), is_untroubled=True)
    return good_run(calls=[nothing], accounts=[account(deals=[deal(1, 0, 0)], closes=[])])
