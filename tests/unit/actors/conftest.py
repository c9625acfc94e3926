"""A roster over fakes, and a bound for tests that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.actors.fake_accounts import Bench


@pytest.fixture
async def bounded() -> AsyncIterator[None]:
    """Give a test up that hangs. (A test is another task than its fixtures.)"""

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.cancel("the test hangs")

    limit = asyncio.get_running_loop().call_later(10, give_up)
    yield
    limit.cancel()


@pytest.fixture
def bench() -> Bench:
    return Bench()
