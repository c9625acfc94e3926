"""Faults of the two floors above: episodes, lives, locks, and what is on record."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

RECORDING_FAULTS = (
    Mutant(
        "seq-not-checked",
        "the journal takes a record of a stream although those before it never came",
        (
            Edit(
                "audit/intake.py",
                "            if seq != line.seq + 1:\n                raise OutOfLine\n",
                "            if seq <= line.seq:\n                raise OutOfLine\n",
            ),
            # Writers begin every batch with the oldest record that they know no answer to, and
            # so the check has nothing to refuse. With it, this second edit does no harm.
            Edit(
                "actors/recording.py",
                "        if now - self._held_since >= self._hold_s:\n"
                "            self._ship_what_is_held(now)\n",
                "        if self._ship is not None and self._held[-1].seq % 2:\n"
                "            self._ship((self._held[-1],))\n",
            ),
        ),
    ),
    Mutant(
        "acknowledged-before-commit",
        "the journal acknowledges a batch that it commits with the next one",
        (
            Edit(
                "audit/journal_file.py",
                '    connection.execute("BEGIN IMMEDIATE")\n'
                "    try:\n"
                "        yield\n"
                '        connection.execute("COMMIT")\n',
                "    if connection.in_transaction:\n"
                '        connection.execute("COMMIT")\n'
                '    connection.execute("BEGIN IMMEDIATE")\n'
                "    try:\n"
                "        yield\n",
            ),
        ),
    ),
    Mutant(
        "journal-row-dropped-before-store-commit",
        "the journal lets go of records before the store has committed them",
        (
            Edit(
                "audit/filler.py",
                "            self._insert(batch, batch)\n",
                "            rows = list(batch)\n"
                "            with self._backlog._journal.writing() as journal:\n"
                "                journal.execute(\n"
                '                    "DELETE FROM records WHERE ordinal BETWEEN ? AND ?",\n'
                "                    (batch.ordinals[0], batch.ordinals[-1]),\n"
                "                )\n"
                "            self._insert(rows, batch)\n",
            ),
        ),
    ),
    Mutant(
        "duplicate-trigger-second-episode",
        "a trigger that comes again opens a second episode",
        (
            Edit(
                "actors/episodes.py",
                "        return known is not None\n",
                "        return False\n",
            ),
        ),
    ),
    Mutant(
        "stale-life-not-stopped",
        "a life that was replaced is not told, and goes on sending",
        (
            Edit(
                "actors/life.py",
                "        if term is None:\n            return False\n",
                "        if term is None:\n            return True\n",
            ),
            Edit(
                "actors/life.py",
                '        self._lease.revoke("the audit knows a newer life of this account")\n',
                "        return\n",
            ),
        ),
    ),
    Mutant(
        "residual-dropped",
        "an episode ends flat although positions of its scope are left",
        (
            Edit(
                "actors/episode.py",
                "        return reply.still_open or reply.failed or reply.waiting\n",
                "        return 0\n",
            ),
        ),
    ),
    Mutant(
        "direct-close-fails-at-once",
        "an episode of a direct close ends before anything is tried",
        (
            Edit(
                "actors/episodes.py",
                "            await self._await_journal(episode, written)\n",
                "            await self._await_journal(episode, written)\n"
                "            if isinstance(episode.mandate, DirectClose):\n"
                '                raise RuntimeError("given up")\n',
            ),
        ),
    ),
    Mutant(
        "warning-fails-at-once",
        "an episode of a warning trigger ends before anything is tried",
        (
            Edit(
                "actors/episodes.py",
                "            await self._await_journal(episode, written)\n",
                "            await self._await_journal(episode, written)\n"
                '            if getattr(episode.mandate, "severity", None) == "warning":\n'
                '                raise RuntimeError("given up")\n',
            ),
        ),
    ),
    Mutant(
        "lock-lost-on-restart",
        "a supervisor that starts again knows no locked account",
        (Edit("actors/lockout.py", "        for lock in locks:\n", "        for lock in ():\n"),),
    ),
    Mutant(
        "pending-not-cancelled-first",
        "pending orders are cancelled after their account's closes, not before",
        (
            Edit(
                "actors/life.py",
                "                if not concludes:\n"
                "                    for record in await cancel_pending_first(mandate, *with_what, "
                "self._clock):\n"
                "                        self._keeper.keep(record)\n"
                "                begun = self._postponed.get(name, ())\n"
                "                how = (self._closer, accepted_us, self._clock, begun)\n"
                "                done = await carry_out(mandate, *how, concludes=concludes)\n",
                "                begun = self._postponed.get(name, ())\n"
                "                how = (self._closer, accepted_us, self._clock, begun)\n"
                "                done = await carry_out(mandate, *how, concludes=concludes)\n"
                "                if not concludes:\n"
                "                    for record in await cancel_pending_first(mandate, *with_what, "
                "self._clock):\n"
                "                        self._keeper.keep(record)\n",
            ),
        ),
    ),
    Mutant(
        "pending-left",
        "an account is closed while its pending orders still stand",
        (
            Edit(
                "actors/cancelling.py",
                "    if not makes_flat(mandate) or not policy.sends_orders:\n",
                "    if mandate:\n",
            ),
        ),
    ),
)
