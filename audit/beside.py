"""Two things at once: a database's work in a thread of its own, and ours while that lasts.

Of use only for work that lets go of the interpreter's lock, as DuckDB's does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

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
            Exception: what ``work`` raised, or ``meanwhile``.
        """
        if meanwhile is None:
            work()
            return
        self._threads = self._threads or ThreadPoolExecutor(1, self._name)
        working = self._threads.submit(work)
        try:
            while not working.done() and meanwhile():
                pass
        finally:
            wait([working])  # whatever happens: nobody may touch what it works on
        working.result()

    def close(self) -> None:
        """End the thread."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
