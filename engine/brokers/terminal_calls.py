"""The seam between the adapter and a terminal: one function call, one reply."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class TerminalReply(NamedTuple):
    """What one call gave.

    ``value`` is the function's own result. When it is ``None`` or ``False``, the function
    failed, and ``error`` is ``last_error()``, read before any other call could reset it.
    """

    value: Any
    error: tuple[int, str] | None = None


class TerminalCalls(Protocol):
    """How the functions of a MetaTrader 5 terminal are reached.

    The adapter knows terminals through this alone, so latency, loss, hangs and a network can be
    put here. An exception means that the call's fate is not known.
    """

    async def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> TerminalReply:
        """Call ``function`` of the terminal."""
        ...


class InProcessCalls:
    """Calls an object with the MetaTrader5 surface, here and now.

    The call blocks the whole process until the terminal answers: the binding never releases
    the interpreter lock, so a thread would not help. Hence one process per account.
    """

    __slots__ = ("_terminal",)

    def __init__(self, terminal: object) -> None:
        """Wrap ``terminal``: the ``MetaTrader5`` module or anything with its functions."""
        self._terminal = terminal

    async def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> TerminalReply:
        """Call ``function`` and, if it failed, read ``last_error`` at once."""
        value = getattr(self._terminal, function)(*args, **kwargs)
        if value is None or value is False:
            code, text = self._terminal.last_error()  # type: ignore[attr-defined]
            return TerminalReply(value, (code, text))
        return TerminalReply(value)
