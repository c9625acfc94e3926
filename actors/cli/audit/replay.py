"""``risk-engine audit replay``: an account's past, as its next life would be given it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.cli.audit.moments import iso, parse_moment
from actors.cli.audit.reaching import (
    NOT_FOUND,
    Address,
    DataDir,
    Namespace,
    PipedConsole,
    Store,
    Whereabouts,
    explained,
    reached,
)
from audit.past import AccountPast, Answer, PastEpisode, past_of
from audit.records import EventType, Status
from engine.clock import SystemClock
from engine.models import GuardTrigger

_SHOWN_POSITIONS = 5
_MOMENTS = frozenset(
    {
        EventType.STREAM_OPENED,
        EventType.STREAM_CLOSED,
        EventType.ACCOUNT_ADDED,
        EventType.ACCOUNT_REMOVED,
        EventType.ACCOUNT_LOCKED,
        EventType.ACCOUNT_RELEASED,
        EventType.ACTOR_KILLED,
        EventType.TRIGGER_REFUSED,
        EventType.REVERSAL,
        EventType.GUARD_ALERT,
    }
)
"""What is told beside the episodes."""
_STATE_STYLES = {"flat": "green", "residual": "bold red", "open": "bold yellow"}


def replay(
    user: Annotated[str, typer.Option("--user", help="Of this account.")],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="As it stood before: 2026-11-22T10:30, or 2h ago. (default: now)",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")
    ] = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Rebuild an account's episodes, locks and idempotency map from its records.

    With the code that an account's actor uses when it begins a life: what
    is printed is what a life that begins at that moment knows.

    Exit status: 0 it worked; 1 nothing is recorded of the account; 2 an
    option is wrong; 3 the records cannot be read; 130 interrupted.
    """
    with explained():
        if not user.strip():
            raise ValueError(f"--user={user!r} is not allowed: it must not be empty")
        moment = None if until is None else parse_moment("--until", until, SystemClock().wall_us())
        with reached(Whereabouts(data_dir, store, namespace, address)) as trail:
            past = past_of(trail, user, moment)
        if as_json:
            print(json.dumps(data_of_past(past, moment)))
        elif past.records:
            print_past(PipedConsole(), past, moment)
        if not past.records:
            before = "" if moment is None else f" before {iso(moment)}"
            typer.echo(f"--user={user!r}: nothing is recorded of this account{before}", err=True)
            raise typer.Exit(NOT_FOUND)


def data_of_past(past: AccountPast, until: int | None) -> dict[str, Any]:
    """Arrange a past as the object that ``--json`` prints."""
    return {
        "user_id": past.user_id,
        "until": None if until is None else iso(until),
        "records": len(past.records),
        "lives": past.lives,
        "lock": None
        if past.lock is None
        else {
            "trigger_id": past.lock.trigger_id,
            "locked_at": iso(past.lock.locked_at),
            "sweeps": past.lock.sweeps,
        },
        "episodes": [_data_of_episode(episode) for episode in past.episodes],
        "open_episodes": [e.trigger_id for e in past.episodes if e.is_open],
        "idempotency_map": [_data_of_answer(answer) for answer in past.answers],
        "events": [
            {
                "at": iso(record.occurred_at),
                "event_type": record.event_type.value,
                "status": record.status.value,
                "description": record.description,
                "event_id": record.event_id,
            }
            for record in past.records
            if record.event_type in _MOMENTS
        ],
    }


def _data_of_episode(episode: PastEpisode) -> dict[str, Any]:
    mandate = episode.mandate
    positions = None if mandate is None else mandate.positions
    return {
        "trigger_id": episode.trigger_id,
        "state": episode.state,
        "reason": None if mandate is None else mandate.reason,
        "severity": mandate.severity.value if isinstance(mandate, GuardTrigger) else None,
        "positions": None if positions is None else [p.position_id for p in positions],
        "accepted_at": _iso(episode.accepted.occurred_at if episode.accepted else None),
        "first_sent_at": _iso(episode.first_sent_us),
        "finished_at": _iso(episode.finished.occurred_at if episode.finished else None),
        "closes": [
            {
                "close_id": close.close_id,
                "position_id": close.position_id,
                "outcome": close.outcome,
                "pnl": close.pnl,
                "at": iso(close.occurred_at),
            }
            for close in episode.closes
        ],
    }


def _data_of_answer(answer: Answer) -> dict[str, Any]:
    result = answer.result
    return {
        "position": answer.position,
        "position_id": result.position_id,
        "key": answer.key,
        "fingerprint": answer.fingerprint,
        "outcome": result.outcome.value,
        "success": result.success,
        "volume": result.volume,
        "closed_price": result.closed_price,
        "pnl": result.pnl,
        "close_id": result.close_id,
        "answers_every_key": answer.answers_every_key,
        "answered_by_key": answer.evidence.key,
    }


def _iso(moment_us: int | None) -> str | None:
    return None if moment_us is None else iso(moment_us)


def print_past(console: Console, past: AccountPast, until: int | None) -> None:
    """Print a past for people."""
    opened = sum(episode.is_open for episode in past.episodes)
    lives = "life" if past.lives == 1 else "lives"
    head = Table.grid(padding=(0, 2))
    head.add_column(width=12, style="dim")
    head.add_column(overflow="fold")
    head.add_row("account", Text(past.user_id, style="bold"))
    head.add_row("as of", "all that is recorded" if until is None else iso(until))
    head.add_row("records", f"{len(past.records):,} in {past.lives:,} {lives}")
    head.add_row("lock", _lock(past))
    state = Text(f"{opened:,} open", style="bold yellow") if opened else Text("none open")
    head.add_row("episodes", Text.assemble(f"{len(past.episodes):,}, ", state))
    console.print(head)
    _print_moments(console, past)
    _print_answers(console, past)


def _lock(past: AccountPast) -> Text:
    if past.lock is None:
        return Text("not locked", style="green")
    return Text(
        f"locked since {iso(past.lock.locked_at)}, swept {past.lock.sweeps:,} times\n"
        f"by trigger {past.lock.trigger_id}",
        style="yellow",
    )


def _print_moments(console: Console, past: AccountPast) -> None:
    console.print(Text("\nwhat happened", style="bold"))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=27, no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    told: list[tuple[int, Text]] = [
        (record.occurred_at, _plainly(record.event_type, record.status, record.description))
        for record in past.records
        if record.event_type in _MOMENTS
    ]
    for episode in past.episodes:
        begun = episode.accepted or episode.finished
        told.append((begun.occurred_at if begun else 0, _episode(episode)))
    for moment, text in sorted(told, key=lambda one: one[0]):
        grid.add_row(iso(moment), text)
    console.print(grid)


def _plainly(kind: EventType, status: Status, description: str) -> Text:
    if status is Status.OK or not description:
        return Text(kind.value.replace("_", " "))
    subject, _, verb = kind.value.rpartition("_")
    told = description if description.startswith(verb) else f"{verb}: {description}"
    style = "yellow" if status is Status.WARNING else "red"
    return Text(f"{subject.replace('_', ' ')} {told}".strip(), style=style)


def _state(episode: PastEpisode) -> Text:
    """Say how it ended: one of named positions leaves the rest of the account as it is."""
    mandate = episode.mandate
    names = mandate is not None and mandate.positions is not None
    told = "closed as asked" if names and episode.state == "flat" else episode.state
    return Text(told, style=_STATE_STYLES.get(episode.state, "bold"))


def _episode(episode: PastEpisode) -> Text:
    text = Text.assemble("episode ", _state(episode), style="bold")
    mandate = episode.mandate
    if mandate is not None:
        text.append(f"\n{mandate.reason}", style="not bold")
        positions = mandate.positions
        scope = _scope(None if positions is None else len(positions))
        text.append(f"\nscope: {scope}", style="not bold")
    text.append(f"\ntrigger {episode.trigger_id}", style="dim not bold")
    begun = episode.accepted.occurred_at if episode.accepted else None
    sent, ended = episode.first_sent_us, episode.finished
    if begun is not None and sent is not None:
        text.append(f"\nfirst order after {(sent - begun) / 1e6:.6f} s", style="not bold")
    if begun is not None and ended is not None:
        took = (ended.occurred_at - begun) / 1e6
        text.append(f"\nended after {took:.6f} s: {ended.description}", style="not bold")
    for close in episode.closes[:_SHOWN_POSITIONS]:
        after = "" if begun is None else f"{(close.occurred_at - begun) / 1e6:+.6f} s  "
        text.append(f"\n  {after}{close.position_id}  {close.outcome}", style="not bold")
        if close.pnl is not None:
            text.append(f"  P&L {close.pnl:,.2f}", style="not bold")
    if len(episode.closes) > _SHOWN_POSITIONS:
        text.append(f"\n  ... and {len(episode.closes) - _SHOWN_POSITIONS:,} more closes")
    return text


def _scope(positions: int | None) -> str:
    if positions is None:
        return "all open positions"
    return f"{positions:,} position" + ("" if positions == 1 else "s")


def _print_answers(console: Console, past: AccountPast) -> None:
    console.print(Text(f"\nidempotency map: {len(past.answers):,} answers", style="bold"))
    if not past.answers:
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("position", "key", "outcome", "P&L"):
        table.add_column(name, justify="right" if name == "P&L" else "left", overflow="fold")
    for answer in past.answers:
        pnl = answer.result.pnl
        outcome = Text(
            answer.result.outcome.value, style="green" if answer.result.success else "red"
        )
        if answer.answers_every_key:
            outcome.append(" *")
        elif answer.is_shared:
            outcome.append(f" (of key {answer.evidence.key})")
        table.add_row(
            Text(answer.position), Text(answer.key), outcome, "-" if pnl is None else f"{pnl:,.2f}"
        )
    console.print(table)
    console.print(Text("* closed in full: answers every key of its position", style="dim"))
