"""Reads a history file: JSON lines, each checked field by field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from audit.history.book import VenueDeal, VenuePosition, VenueRequest
from audit.history.events import FORMAT, Completion, FinalRecord, Header, Invocation
from audit.history.history import Event, History

LINE_KINDS: dict[str, type[Event]] = {
    "history": Header,
    "invoked": Invocation,
    "completed": Completion,
    "position": VenuePosition,
    "deal": VenueDeal,
    "request": VenueRequest,
    "record": FinalRecord,
}
"""What the field ``event`` of a line may say, and the class that it stands for."""

_READERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(cls) for name, cls in LINE_KINDS.items()}


class HistoryError(ValueError):
    """The file is not a history; the message names the line and the field."""


def read_history(path: Path) -> History:
    """Read a history file.

    Raises:
        HistoryError: a line is malformed, or lines contradict each other.
        OSError: the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return parse_history(lines)
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path} is not UTF-8 text: {error}") from error


def parse_history(lines: Iterable[str]) -> History:
    """Read the lines of a history; empty ones are passed over.

    Raises:
        HistoryError: a line is malformed, or lines contradict each other.
    """
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            event = _parse(number, line)
            if isinstance(event, Header) == bool(events):
                raise HistoryError(
                    f"line {number}: "
                    + (
                        "a second line with event='history'; begin a file of its own"
                        if events
                        else "the first line must be the one with event='history'"
                    )
                )
            events.append(event)
    if not events:
        raise HistoryError("no lines: a history has at least the one with event='history'")
    try:
        return History.of(events)
    except ValueError as error:
        raise HistoryError(str(error)) from error


def _parse(number: int, line: str) -> Event:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:  # also too many digits, and nested too deeply
        raise HistoryError(f"line {number}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise HistoryError(f"line {number}: {_short(data)} is no JSON object")
    name = data.pop("event", None)
    reader = _READERS.get(name) if isinstance(name, str) else None
    if reader is None:
        raise HistoryError(
            f"line {number}: event={_short(name)}; allowed are {', '.join(LINE_KINDS)}"
        )
    try:
        # Through JSON again: there, and only there, strict types let a list be a tuple.
        event: Event = reader.validate_json(json.dumps(data))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        given = "" if problem["type"] == "missing" else f" (given: {_short(problem['input'])})"
        raise HistoryError(
            f"line {number}: {name}: {field or 'fields'}: {problem['msg']}{given}"
        ) from error
    if isinstance(event, Header) and event.format != FORMAT:
        raise HistoryError(
            f"line {number}: history: format={event.format}; this version reads format {FORMAT}"
        )
    return event


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
