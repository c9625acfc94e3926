"""The audit trail: records in hash chains, a durable journal, a store for reading.

The names below are the public ones. Account processes import :mod:`audit.records`,
:mod:`audit.closes`, :mod:`audit.events` and :mod:`audit.chain` only, so whatever needs a database
is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from audit.chain import ChainHead, ChainProblem, ChainWriter, SealedRecord, verify_chain
from audit.closes import close_record, evidence_of, result_of
from audit.errors import AuditError, JournalUnavailable, StoreUnavailable
from audit.events import episode_finished, guard_alert, trigger_accepted, trigger_of
from audit.records import AuditRecord, EventType, Status

if TYPE_CHECKING:
    from audit.journal import Journal
    from audit.ledger import AuditLedger, LedgerStatus
    from audit.opening import open_store
    from audit.queries import RecordQuery
    from audit.receipts import AppendReceipt, OpenedStream, OpenEpisode
    from audit.store import AuditStore
    from audit.verify import VerifyReport

__all__ = [
    "AppendReceipt",
    "AuditError",
    "AuditLedger",
    "AuditRecord",
    "AuditStore",
    "ChainHead",
    "ChainProblem",
    "ChainWriter",
    "EventType",
    "Journal",
    "JournalUnavailable",
    "LedgerStatus",
    "OpenEpisode",
    "OpenedStream",
    "RecordQuery",
    "SealedRecord",
    "Status",
    "StoreUnavailable",
    "VerifyReport",
    "close_record",
    "episode_finished",
    "evidence_of",
    "guard_alert",
    "open_store",
    "result_of",
    "trigger_accepted",
    "trigger_of",
    "verify_chain",
]

_LOADED_LATER = {
    "AppendReceipt": "audit.receipts",
    "AuditLedger": "audit.ledger",
    "AuditStore": "audit.store",
    "Journal": "audit.journal",
    "LedgerStatus": "audit.ledger",
    "OpenEpisode": "audit.receipts",
    "OpenedStream": "audit.receipts",
    "RecordQuery": "audit.queries",
    "VerifyReport": "audit.verify",
    "open_store": "audit.opening",
}


def __getattr__(name: str) -> object:
    """Load what needs a database when it is first asked for (PEP 562)."""
    module = _LOADED_LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
