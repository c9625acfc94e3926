from __future__ import annotations

import logging
from pathlib import Path

from actors.simulation.alarms import AlarmEar, silence
from actors.simulation.process import Process, current_process

FOLDER = Path("some", "folder")


def heard(source: str, text: str, process: Process | None = None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    ear = AlarmEar(lambda who, what: found.append((who, what)), FOLDER)
    token = current_process.set(process)
    try:
        with silence():
            logging.getLogger(source).error("%s", text)
    finally:
        current_process.reset(token)
        ear.stop()
    return found


def test_an_alarm_is_heard_with_its_process_and_without_the_runs_folder() -> None:
    text = f"journal {FOLDER}/j is away"
    process = Process("supervisor/1")
    assert heard("actors.outbox", text, process) == [("supervisor/1", "journal folder/j is away")]
    assert heard("actors.recording", "full") == [("", "full")]


def test_what_is_no_alarm_is_not_heard() -> None:
    assert heard("actors.outbox", "the audit took no records (attempt 1): away") == []
    assert heard("actors.roster", "an error") == []


def test_the_dead_raise_no_alarms() -> None:
    process = Process("supervisor/1")
    process.kill()
    assert heard("actors.outbox", "too late", process) == []


def test_who_has_stopped_hears_nothing() -> None:
    found: list[str] = []
    ear = AlarmEar(lambda _who, what: found.append(what), FOLDER)
    ear.stop()
    with silence():
        logging.getLogger("actors.outbox").error("unheard")
    assert found == []
