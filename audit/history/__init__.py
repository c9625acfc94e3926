"""The history checker: was what clients were told, and what the venue's book shows, one serial,
exactly-once execution?

Apart from the engine on purpose: nothing here imports the engine, the actors or the rest of the
audit, so that a mistake in them cannot also be the judge's. ``docs/history.md`` has the five
minutes' introduction.
"""

from audit.history.book import VenueDeal, VenuePosition, VenueRequest
from audit.history.checker import check
from audit.history.events import Completion, FinalRecord, Header, Invocation, PositionResult
from audit.history.history import History
from audit.history.reading import HistoryError, read_history
from audit.history.verdict import Verdict, Violation
from audit.history.writing import HistoryWriter

__all__ = [
    "Completion",
    "FinalRecord",
    "Header",
    "History",
    "HistoryError",
    "HistoryWriter",
    "Invocation",
    "PositionResult",
    "VenueDeal",
    "VenuePosition",
    "VenueRequest",
    "Verdict",
    "Violation",
    "check",
    "read_history",
]
