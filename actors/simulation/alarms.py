"""Hears the alarms that the engine raises, as whoever reads its logs does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.simulation.process import current_process

_FLOORS = ("actors", "audit", "engine")
_SOURCES = ("actors.outbox", "actors.recording", "audit.filler", "engine.reversal")
_NO_ALARM = "the audit took no records"
"""How the outbox begins to say that it tries again: that is no alarm."""


class AlarmEar(logging.Handler):
    """Hears what those who raise alarms log as errors; a dead process raises none.

    Args:
        heard: told of each: the process that raised it (empty: none) and its text.
        folder: that no text may name, since it is another one in every run.
    """

    def __init__(self, heard: Callable[[str, str], None], folder: Path) -> None:
        """Begin to listen; see :meth:`stop`."""
        super().__init__(logging.ERROR)
        self._heard = heard
        self._folder = str(folder)
        for floor in _FLOORS:
            logging.getLogger(floor).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hear one line of the log."""
        process = current_process.get(None)
        if record.name not in _SOURCES or (process is not None and not process.is_alive):
            return
        text = record.getMessage().replace(self._folder, "folder")
        if not text.startswith(_NO_ALARM):
            self._heard("" if process is None else process.name, text)

    def stop(self) -> None:
        """Listen no more."""
        for floor in _FLOORS:
            logging.getLogger(floor).removeHandler(self)


@contextmanager
def silence() -> Iterator[None]:
    """Let nobody but an :class:`AlarmEar` hear the engine's logs: hundreds of kills fill pages."""
    before = logging.root.manager.disable
    loggers = [logging.getLogger(name) for name in (*_FLOORS, "asyncio")]
    propagated = [logger.propagate for logger in loggers]
    nobody = logging.NullHandler()
    logging.disable(logging.WARNING)
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(nobody)
    try:
        yield
    finally:
        logging.disable(before)
        for logger, was in zip(loggers, propagated, strict=True):
            logger.propagate = was
            logger.removeHandler(nobody)
