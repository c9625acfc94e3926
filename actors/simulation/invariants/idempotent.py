"""Promise 2: the same position and key give the identical result, and one final record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from actors.simulation.facts import AccountSeen, Run
from actors.simulation.invariants.violation import Violation
from audit.records import EventType, Status
from engine.models import CloseResult
from engine.outcomes import Outcome

_FULL = (Outcome.DONE.value, Outcome.ALREADY_CLOSED.value)


def one_final_record(run: Run) -> Iterator[Violation]:
    """There is one final record for each position and key."""
    seen: dict[tuple[str, str, str], str] = {}
    for record in run.records:
        if record.event_type is not EventType.POSITION_CLOSED:
            continue
        name = record.user_id, record.meta_data["position"], record.meta_data["key"]
        if seen.setdefault(name, record.event_id) != record.event_id:
            yield Violation(
                "one final record",
                f"position {name[1]} and key {name[2]!r} have two final records",
                name[0],
            )


def one_full_success(run: Run) -> Iterator[Violation]:
    """A position is closed in full once."""
    successes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in run.records:
        if record.event_type is EventType.POSITION_CLOSED and (
            record.status is Status.OK and record.outcome in _FULL
        ):
            name = record.user_id, record.meta_data["position"]
            successes[name].append(record.meta_data["key"])
    for (user_id, position), keys in successes.items():
        if len(keys) > 1 and not _grew_meanwhile(run.account(user_id), position):
            yield Violation(
                "one full success",
                f"position {position} was closed in full under the keys {', '.join(keys)}",
                user_id,
            )


def _grew_meanwhile(account: AccountSeen, position: str) -> bool:
    """Whether somebody enlarged a net position after it was read to be closed."""
    read = [c.read_at_us or c.sent_us for c in account.closes if str(c.ticket) == position]
    return any(
        deal.entry == 0 and str(deal.identifier) == position and deal.at_us >= min(read)
        for deal in (account.deals if read else ())
    )


def identical_results(run: Run) -> Iterator[Violation]:
    """Whoever asks for the same position and key is told the same, field by field."""
    told: dict[tuple[str, str, str], CloseResult] = {}
    for call in sorted(run.calls, key=lambda call: call.ended_us or 0):
        for result in call.results:
            if not result.close_id:
                continue  # refused as an entry: nothing final
            name = call.user_id, result.position_id, call.key or result.position_id
            known = told.setdefault(name, result)
            if replace(known, durable=True) != replace(result, durable=True):
                yield Violation(
                    "identical results",
                    f"position {name[1]} and key {name[2]!r} were told {known.outcome.value} "
                    f"({known.close_id[:8]}), then {result.outcome.value} "
                    f"({result.close_id[:8]}): {_difference(known, result)}",
                    call.user_id,
                    call.ended_us,
                )


def conflicts_raised(run: Run) -> Iterator[Violation]:
    """A key that was used is refused for another ticket or volume, a name for another scope."""
    calls = {call.number: call for call in run.calls}
    for call in run.calls:
        if call.contradicts is None or call.status != "ok":
            continue
        first = calls[call.contradicts]
        if first.status != "ok" or first.ended_us is None or first.ended_us > call.begun_us:
            continue  # it was not settled yet what the key stands for
        if call.kind == "trigger":
            is_excused = False
        else:
            # Only a position that both calls name, and whose key was used, can conflict: also by
            # the answer of another key's close. An entry of several is refused by itself.
            used = {result.position_id for result in first.results if result.close_id}
            is_excused = not any(
                result.position_id in used and result.close_id for result in call.results
            )
        if not is_excused:
            yield Violation(
                "conflicts raised",
                f"call {call.number} used the key {call.key!r} of call {first.number} for "
                "something else and was not refused",
                call.user_id,
                call.ended_us,
            )


def results_on_disk(run: Run) -> Iterator[Violation]:
    """Every result that was returned as durable has its record."""
    outcomes = {
        record.close_id: record.outcome
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED
    }
    for call in run.calls:
        for result in call.results if call.is_durable else ():
            if result.close_id and outcomes.get(result.close_id) != result.outcome.value:
                yield Violation(
                    "results on disk",
                    f"call {call.number} was told {result.outcome.value} for position "
                    f"{result.position_id}, the record says {outcomes.get(result.close_id)}",
                    call.user_id,
                    call.ended_us,
                )


def _difference(one: CloseResult, other: CloseResult) -> str:
    names = [
        name
        for name in CloseResult.__slots__
        if name != "durable" and getattr(one, name) != getattr(other, name)
    ]
    return ", ".join(f"{n} {getattr(one, n)!r} / {getattr(other, n)!r}" for n in names)[:200]
