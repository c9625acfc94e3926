"""What can go wrong in the audit, and what to do about it."""

from __future__ import annotations

from engine.errors import RiskEngineError


class AuditError(RiskEngineError):
    """Base of every error that the audit raises on its own account."""


class JournalUnavailable(AuditError):
    """The journal cannot be written or read; nothing of the refused call was kept.

    Hold the records and send them again: a record sent twice is stored once.
    """


class JournalInUse(JournalUnavailable):
    """Another process, or another part of this one, has the journal open."""


class NewerSchema(AuditError):
    """A file was written by a newer version of this software. Upgrade, or use another file."""


class StoreUnavailable(AuditError):
    """The store cannot be used just now; the journal keeps what it does not hold yet."""


class StoreInUse(StoreUnavailable):
    """Another process has the database open for writing, and one at a time may."""


class StoreDamaged(StoreUnavailable):
    """The database file is there and cannot be read."""


class UnknownEpisode(AuditError, LookupError):
    """No record names this episode, or it was refused: there is nothing to certify."""
