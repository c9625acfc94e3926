"""Promise 3: no volume is closed twice, and none that was not just read as open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from actors.simulation.facts import AccountSeen, Run
from actors.simulation.invariants.violation import Violation

DUST = 1e-6


def read_before_sending(run: Run) -> Iterator[Violation]:
    """Every close asks for no more than its sender has read as open since the request before."""
    for account in run.accounts:
        for close in account.closes:
            if close.read_volume is None:
                text = f"request {close.number} for ticket {close.ticket} was sent without a read"
            elif close.volume > close.read_volume + DUST:
                text = (
                    f"request {close.number} asks for {close.volume} lots of ticket "
                    f"{close.ticket}, of which {close.read_volume} were read as open"
                )
            else:
                continue
            yield Violation("read before sending", text, account.user_id, close.sent_us)


def no_double_close(run: Run) -> Iterator[Violation]:
    """The book shows no exit beyond what was entered, and no turn-around of our own making."""
    for account in run.accounts:
        if account.is_hedging:
            yield from _exits_exceed_entries(account)
        else:
            yield from _turned_around_by_us(account)


def _exits_exceed_entries(account: AccountSeen) -> Iterator[Violation]:
    entered: dict[int, float] = defaultdict(float)
    left: dict[int, float] = defaultdict(float)
    for deal in account.deals:
        if deal.entry == 0:
            entered[deal.identifier] += deal.volume
            if deal.comment.startswith("R") and len(deal.comment) == 27:
                yield Violation(
                    "no double close",
                    f"a close of ours opened position {deal.identifier}",
                    account.user_id,
                    deal.at_us,
                )
        else:
            left[deal.identifier] += deal.volume
            if left[deal.identifier] > entered[deal.identifier] + DUST:
                yield Violation(
                    "no double close",
                    f"{left[deal.identifier]:g} lots left position {deal.identifier}, which had "
                    f"{entered[deal.identifier]:g}",
                    account.user_id,
                    deal.at_us,
                )


def _turned_around_by_us(account: AccountSeen) -> Iterator[Violation]:
    for close in account.closes:
        went_beyond = (
            close.open_before is not None
            and close.executed_volume > close.open_before + DUST
            and close.executed_us == close.arrived_us
        )
        if went_beyond and close.ours_between > DUST:
            yield Violation(
                "no double close",
                f"request {close.number} executed {close.executed_volume:g} lots of "
                f"{close.symbol} where {close.open_before:g} were open: a request of ours had "
                f"closed {close.ours_between:g} since the read",
                account.user_id,
                close.arrived_us,
            )
