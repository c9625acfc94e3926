"""Factories as a user might write them, right and wrong."""

from __future__ import annotations

from engine.brokers.mt5 import MT5Broker
from tests.unit.brokers.scripted_terminal import ScriptedTerminal

NOT_CALLABLE = 7


def good(user_id: str, *, login: int = 1) -> MT5Broker:
    return MT5Broker(ScriptedTerminal(), login=login, server=user_id)


class House:
    """A factory as a class's method."""

    open = staticmethod(good)


def raises(user_id: str) -> MT5Broker:
    raise TypeError(f"a bug inside, for {user_id}")


def incomplete(user_id: str) -> object:
    class Half:
        async def connect(self) -> None: ...

        positions = user_id

    return Half()


async def asynchronous(user_id: str) -> MT5Broker:
    return good(user_id)
