"""Promises 10, 11 and 12: the record is whole, holds no secrets, and what must not be sent is
not."""

from __future__ import annotations

from collections.abc import Iterator

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation


def chains_whole(run: Run) -> Iterator[Violation]:
    """Chains verify, and the store holds exactly what was acknowledged."""
    name = "chains whole"
    if run.chain_problem:
        yield Violation(name, run.chain_problem)
    for event in run.clashes:
        yield Violation(name, f"event {event} was acknowledged with two contents")
    for event in run.missing_from_store:
        yield Violation(name, f"event {event} was acknowledged and is not in the store")
    for event in run.unknown_in_store:
        yield Violation(name, f"event {event} is in the store and was never acknowledged")


def streams_whole(run: Run) -> Iterator[Violation]:
    """Every stream is numbered without a gap."""
    numbers: dict[str, list[int]] = {}
    for record in run.records:
        numbers.setdefault(record.stream, []).append(record.seq)
    for stream, seq in run.apart:
        numbers.setdefault(stream, []).append(seq)
    for stream, seqs in numbers.items():
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            missing = sorted(set(range(1, max(seqs) + 1)) - set(seqs))
            yield Violation("streams whole", f"stream {stream} lacks the numbers {missing}")


def nothing_set_aside(run: Run) -> Iterator[Violation]:
    """No writer contradicts itself."""
    for event in run.set_aside:
        yield Violation("nothing set aside", f"event {event} was set aside")


def no_secrets(run: Run) -> Iterator[Violation]:
    """No record holds a password."""
    for event in run.secrets_found:
        yield Violation("no secrets", f"event {event} holds a password")


def sends_only_where_allowed(run: Run) -> Iterator[Violation]:
    """Nothing is sent while observing, nor for real money that is not allowed."""
    for account in run.accounts:
        if run.observes or not account.may_be_sent_to:
            for close in account.closes:
                yield Violation(
                    "sends only where allowed",
                    f"request {close.number} was sent",
                    account.user_id,
                    close.sent_us,
                )
            for at_us, order in account.pending_cancels:
                yield Violation(
                    "sends only where allowed",
                    f"a request to cancel order {order} was sent",
                    account.user_id,
                    at_us,
                )
