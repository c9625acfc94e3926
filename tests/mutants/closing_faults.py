"""Faults of the floor that closes: sending, settling, remembering."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

CLOSING_FAULTS = (
    Mutant(
        "lease-check-skipped",
        "a life sends whether or not it holds the account's lease",
        (
            Edit(
                "engine/lease.py",
                "        return (\n"
                "            self._revoked is None and self._end is not None and "
                "self._clock.monotonic() < self._end\n"
                "        )\n",
                "        return True\n",
            ),
        ),
    ),
    Mutant(
        "map-forgotten-on-restart",
        "a new life takes up no answer of the lives before",
        (
            Edit(
                "engine/closing.py",
                "        self.memory.take_up(answers)\n",
                "        pass\n",
            ),
        ),
    ),
    Mutant(
        "timeout-taken-as-rejection",
        "10012 gets what 10006 gets: the request counts as refused",
        (
            Edit(
                "engine/brokers/answers.py",
                "    (10012, Verdict.UNKNOWN,",
                "    (10012, Verdict.BACK_OFF,",
            ),
        ),
    ),
    Mutant(
        "volume-from-the-request",
        "a request asks for what was asked for, not for what was just read as open",
        (
            Edit(
                "engine/sending.py",
                "        if wanted is None or wanted >= position.volume - VOLUME_DUST:\n"
                "            return position.volume\n",
                "        if wanted is None or wanted >= position.volume - VOLUME_DUST:\n"
                "            return close.request.volume or close.volume_before\n",
            ),
        ),
    ),
    Mutant(
        "settle-skipped",
        "after an answer that proves nothing the request is sent again at once",
        (
            Edit(
                "engine/sending.py",
                "            return self._follow_settlement(\n"
                "                close, position, await self._settler.settle(close, position)\n"
                "            )\n",
                "            return _Next.AGAIN_NOW\n",
            ),
        ),
    ),
    Mutant(
        "settle-window-halved",
        "the engine waits half as long as the venue may take (it takes up to 0.8 of it)",
        (
            Edit(
                "engine/settling.py",
                "self._patience.until(look, self._window_s)",
                "self._patience.until(look, self._window_s / 2)",
            ),
        ),
    ),
    Mutant(
        "close-tag-random",
        "the order's comment is random, so no later life knows it for its own",
        (
            Edit(
                "engine/unfinished.py",
                "        self.tag = close_tag(name)\n",
                '        self.tag = close_tag(__import__("uuid").uuid4())\n',
            ),
        ),
    ),
    Mutant(
        "failure-final-for-every-key",
        "a failure answers all keys of its position, so that no new trigger tries again",
        (
            Edit(
                "engine/idempotency.py",
                "        if result.is_full_success:\n            self._full[entry[0]] = result\n",
                "        if result.is_full_success or not result.success:\n"
                "            self._full[entry[0]] = result\n",
            ),
            Edit(
                "engine/closing.py",
                "        if position is None or close.is_stale(position, "
                "self._clock.monotonic()):\n",
                "        if not full.success or position is None:\n",
            ),
        ),
    ),
    Mutant(
        "success-not-final-for-another-key",
        "a full success answers its own key only",
        (
            Edit(
                "engine/idempotency.py",
                "        return self._full.get(position)\n",
                "        return None\n",
            ),
        ),
    ),
    Mutant(
        "partial-counted-as-full",
        "a close of a part is told and recorded as a full one",
        (
            Edit(
                "engine/concluding.py",
                "not (close.request.volume is None or whole):\n"
                "        return Outcome.PARTIAL, None\n",
                "not (close.request.volume is None or whole):\n        return Outcome.DONE, None\n",
            ),
        ),
    ),
    Mutant(
        "two-in-flight",
        "a position is closed while the close of another one is in flight",
        (
            Edit(
                "engine/closing.py",
                "        async with self._turn:\n"
                "            await self._predecessor.settled()\n"
                "            known = self.memory.claim(request)\n",
                "        if True:\n"
                "            await self._predecessor.settled()\n"
                "            known = self.memory.claim(request)\n",
            ),
            Edit(
                "engine/closing.py",
                "                begun[number] = await self._begin(request, queue)\n",
                "                ahead = queue.take()\n"
                "                works = [self._begin(request, queue)]\n"
                "                works += [self._begin(ahead[1], queue)] if ahead else []\n"
                "                both = await asyncio.gather(*works)\n"
                "                begun[number] = both[0]\n"
                "                if ahead:\n"
                "                    begun[ahead[0]] = both[1]\n",
            ),
        ),
    ),
    Mutant(
        "10012-sent-again-without-a-read",
        "a request that timed out is sent again as it was",
        (
            Edit(
                "engine/sending.py",
                "        if verdict in _SETTLE:\n",
                "        if answer.code == 10012 and len(close.attempts) < 3:\n"
                "            return await self._send(close, position, volume)\n"
                "        if verdict in _SETTLE:\n",
            ),
        ),
    ),
)
