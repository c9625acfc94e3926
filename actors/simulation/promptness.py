"""How soon the first orders left, of episodes that nothing but the disk or others troubled."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.simulation.facts import AccountSeen, CallSeen, FirstOrder, Run
from actors.simulation.history import Event, History
from actors.simulation.untroubled import Troubles
from actors.simulation.venue import CloseSeen
from audit.records import EventType
from engine.identity import close_tag

_FINAL = ("flat", "residual")


def first_orders(run: Run, history: History, troubles: Troubles) -> Iterator[FirstOrder]:
    """Measure the first order of every trigger that nothing troubled until then."""
    tags = _tags(run)
    for call in run.calls:
        if call.kind != "trigger" or call.repeats is not None or call.contradicts is not None:
            continue
        account = run.account(call.user_id)
        sent = [c for c in account.closes if c.tag in tags.get(call.episode, ())]
        if not sent:
            continue
        first = min(sent, key=lambda close: close.sent_us)
        sent_us = first.sent_us
        if troubles.touched(call.user_id, call.begun_us, sent_us):
            continue
        before = [event for event in history if event.at_us <= sent_us]
        if _is_busy(before, call) or _takes_over(account, first):
            continue
        if _supervisor_cannot_begin(before, call.begun_us):
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


def _takes_over(account: AccountSeen, first: CloseSeen) -> bool:
    """Whether this is the first order of a life that replaced another.

    Before it the life waits until nothing of its predecessor's can act any more, and that may
    begin only when it is first asked for something.
    """
    is_first_life = first.process.endswith("/1")
    has_sent = any(c.process == first.process and c.sent_us < first.sent_us for c in account.closes)
    return not is_first_life and not has_sent


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


def _supervisor_cannot_begin(before: list[Event], since_us: int) -> bool:
    """Whether a new life of the supervisor waited for the journal: its number has to be on disk."""
    ill: set[str] = set()
    waits = False
    for event in before:
        if event.at_us > since_us:
            break
        if event.kind == "disk" and str(event.facts["what"]).startswith("journal"):
            (ill.add if event.facts["on"] else ill.discard)(str(event.facts["what"]))
            waits = waits and bool(ill)
        elif event.kind == "born" and str(event.facts["process"]).startswith("supervisor/"):
            waits = bool(ill)
    return waits


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
