"""The audit trail: records in hash chains, a durable journal, a store for reading.

The names below are the public ones. Account processes import :mod:`audit.records`,
:mod:`audit.closes`, :mod:`audit.events`, :mod:`audit.replay` and :mod:`audit.chain` only, so
whatever needs a database is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from audit.chain import ChainHead, ChainProblem, ChainWriter, SealedRecord, verify_chain
from audit.closes import close_record, evidence_of, result_of
from audit.errors import AuditError, JournalUnavailable, StoreUnavailable
from audit.events import (
    close_accepted,
    direct_close_of,
    episode_finished,
    guard_alert,
    mandate_of,
    trigger_accepted,
    trigger_of,
)
from audit.records import AuditRecord, EventType, Status
from audit.replay import remembered

if TYPE_CHECKING:
    from audit.certificate import Certificate
    from audit.journal import Journal
    from audit.ledger import AuditLedger, LedgerStatus
    from audit.opening import open_store
    from audit.queries import RecordQuery
    from audit.receipts import (
        AccountHistory,
        AccountLock,
        AppendReceipt,
        FinishedEpisode,
        OpenedStream,
        OpenEpisode,
    )
    from audit.store import AuditStore
    from audit.verify import VerifyReport

__all__ = [
    "AccountHistory",
    "AccountLock",
    "AppendReceipt",
    "AuditError",
    "AuditLedger",
    "AuditRecord",
    "AuditStore",
    "Certificate",
    "ChainHead",
    "ChainProblem",
    "ChainWriter",
    "EventType",
    "FinishedEpisode",
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
    "close_accepted",
    "close_record",
    "direct_close_of",
    "episode_finished",
    "evidence_of",
    "guard_alert",
    "mandate_of",
    "open_store",
    "remembered",
    "result_of",
    "trigger_accepted",
    "trigger_of",
    "verify_chain",
]

_LOADED_LATER = {
    "AccountHistory": "audit.receipts",
    "AccountLock": "audit.receipts",
    "AppendReceipt": "audit.receipts",
    "AuditLedger": "audit.ledger",
    "AuditStore": "audit.store",
    "Certificate": "audit.certificate",
    "FinishedEpisode": "audit.receipts",
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
