"""Promise 1: at any time at most one close is in flight per account, and none is sent while an
earlier one may still act.

A request that a terminal held for longer than the settle window is beyond what any client can wait
for, and stands in nobody's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from actors.simulation.facts import AccountSeen, Run
from actors.simulation.invariants.violation import Violation
from actors.simulation.venue import CloseSeen


def serial(run: Run) -> Iterator[Violation]:
    """No close leaves before the account's last one was answered or could not act any more."""
    for account in run.accounts:
        for earlier, later in pairwise(_in_time(account)):
            until_us = _in_flight_until_us(earlier, later)
            if until_us is None or later.sent_us < until_us:
                yield Violation(
                    "serial",
                    f"request {later.number} ({later.process}, ticket {later.ticket}) left while "
                    f"request {earlier.number} ({earlier.process}, ticket {earlier.ticket}) was "
                    f"in flight",
                    account.user_id,
                    later.sent_us,
                )


def no_resend_while_it_may_act(run: Run) -> Iterator[Violation]:
    """No close leaves while an earlier one for the same volume can still move it.

    On a hedging account that is the same ticket, on a netting one the same symbol.
    """
    for account in run.accounts:
        closes = _in_time(account)
        for place, later in enumerate(closes):
            for earlier in closes[max(0, place - 3) : place]:
                if account.is_hedging and earlier.ticket != later.ticket:
                    continue
                if earlier.symbol != later.symbol:
                    continue
                acts_until_us = earlier.acts_until_us
                if acts_until_us is None or later.sent_us < acts_until_us:
                    yield Violation(
                        "no resend while it may act",
                        f"request {later.number} ({later.process}, ticket {later.ticket}) left, "
                        f"and request {earlier.number} ({earlier.process}, ticket "
                        f"{earlier.ticket}) could still act",
                        account.user_id,
                        later.sent_us,
                    )


def _in_time(account: AccountSeen) -> list[CloseSeen]:
    return [close for close in account.closes if not close.is_overdue]


def _in_flight_until_us(earlier: CloseSeen, later: CloseSeen) -> int | None:
    if earlier.process == later.process and earlier.answered_us is not None:
        return earlier.answered_us
    return earlier.acts_until_us
