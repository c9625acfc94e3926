"""How soon the first orders left, of episodes that nothing but the disk or others troubled."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.simulation.facts import CallSeen, FirstOrder, Run
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.history import Event, History
from audit.records import EventType
from engine.identity import close_tag

_OF_THE_DISK = frozenset(
    {
        Disturbance.JOURNAL_SLOW.value,
        Disturbance.JOURNAL_FULL.value,
        Disturbance.STORE_SLOW.value,
        Disturbance.STORE_AWAY.value,
        Disturbance.STORE_FULL.value,
    }
)
_FINAL = ("flat", "residual")


def first_orders(run: Run, history: History) -> Iterator[FirstOrder]:
    """Measure the first order of every trigger whose account nothing has troubled so far."""
    tags = _tags(run)
    for call in run.calls:
        if call.kind != "trigger" or call.repeats is not None or call.contradicts is not None:
            continue
        account = run.account(call.user_id)
        sent = [c.sent_us for c in account.closes if c.tag in tags.get(call.episode, ())]
        if not sent:
            continue
        sent_us = min(sent)
        before = [event for event in history if event.at_us <= sent_us]
        if _is_troubled(before, call.user_id) or _is_busy(before, call):
            continue
        yield FirstOrder(
            call.user_id, call.episode, call.begun_us, sent_us, _was_disk_ill(before, call.begun_us)
        )


def _tags(run: Run) -> dict[str, set[str]]:
    tags: dict[str, set[str]] = {}
    for record in run.records:
        if record.event_type is EventType.POSITION_CLOSED and record.close_id:
            of_episode = tags.setdefault(record.trigger_id or "", set())
            of_episode.add(close_tag(UUID(record.close_id)))
    return tags


def _is_troubled(before: list[Event], user_id: str) -> bool:
    """Whether a fault has touched the account, or the whole engine, and not only its disk."""
    return any(
        event.kind == "fault"
        and event.user_id in ("", user_id)
        and event.facts["what"] not in _OF_THE_DISK
        for event in before
    )


def _is_busy(before: list[Event], call: CallSeen) -> bool:
    """Whether something else was asked of the account at the same time."""
    states: dict[str, str] = {}
    for event in before:
        if event.user_id != call.user_id:
            continue
        if event.kind == "call" and abs(event.at_us - call.begun_us) < 1_000_000:
            if event.facts["number"] != call.number:
                return True
        elif event.kind == "episode" and event.at_us < call.begun_us:
            states[event.facts["episode"]] = event.facts["state"]
    return any(state not in _FINAL for state in states.values())


def _was_disk_ill(before: list[Event], since_us: int) -> bool:
    ill: set[str] = set()
    was_ill = False
    for event in before:
        if event.at_us > since_us and ill:
            was_ill = True
        if event.kind != "disk":
            continue
        if event.facts["on"]:
            ill.add(event.facts["what"])
        else:
            ill.discard(event.facts["what"])
    return was_ill or bool(ill)
