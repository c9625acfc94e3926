"""Two things at once: a database's work in a thread of its own, and ours while that lasts.

Of use only for work that lets go of the interpreter's lock, as DuckDB's does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from audit.store import Meanwhile


class Beside:
    """One thread that is there from the first use until :meth:`close`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        """No thread yet."""
        self._name = name
        self._threads: ThreadPoolExecutor | None = None

    def do(self, work: Callable[[], object], meanwhile: Meanwhile | None) -> None:
        """Do ``work``, and ``meanwhile`` over and over until either is done; then end ``work``.

        Raises:
            Exception: what ``work`` raised.
        """
        if meanwhile is None:
            work()
            return
        self._threads = self._threads or ThreadPoolExecutor(1, self._name)
        working = self._threads.submit(work)
        while not working.done() and meanwhile():
            pass
        working.result()

    def close(self) -> None:
        """End the thread."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
