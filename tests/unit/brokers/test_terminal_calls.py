"""The seam between adapter and terminal."""

from __future__ import annotations

import asyncio

import pytest

from engine.brokers.terminal_calls import InProcessCalls
from tests.unit.brokers.scripted_terminal import Fails, ScriptedTerminal

run = asyncio.run


def test_a_value_comes_without_an_error() -> None:
    reply = run(InProcessCalls(ScriptedTerminal())("positions_get", ticket=3))
    assert (reply.value, reply.error) == ((), None)


@pytest.mark.parametrize("value", [None, False])
def test_a_failure_comes_with_the_error_of_that_call(value: object) -> None:
    calls = InProcessCalls(ScriptedTerminal(orders_get=Fails(-10002, "IPC recv failed", value)))
    reply = run(calls("orders_get"))
    assert reply.value is value
    assert reply.error == (-10002, "IPC recv failed")


def test_an_exception_passes_through() -> None:
    with pytest.raises(EOFError):
        run(InProcessCalls(ScriptedTerminal(orders_get=EOFError()))("orders_get"))
