"""``risk-engine audit verify``: whether the records are those that were written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.audit.moments import iso, parse_moment
from actors.cli.audit.reaching import (
    FOUND,
    NOT_FOUND,
    Address,
    DataDir,
    Namespace,
    Store,
    Whereabouts,
    digests_beside,
    explained,
    reached,
)
from engine.clock import SystemClock
from engine.store_url import shown_url

if TYPE_CHECKING:
    from audit.verify import VerifyReport


def verify(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Take for granted what a digest from before then vouches for, and hash only what "
            "came after: ISO 8601 (UTC), or so long ago, as 15m, 2h, 3d.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(help="Check the streams of this account, and the supervisor's, only."),
    ] = None,
    digests: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Hold the records against this digest file, such as a copy that was kept "
            "elsewhere; of several that follow on each other, the oldest first. "
            "[default: the engine's own]",
            show_default=False,
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
    """Check that no record was altered, removed, moved or put in, and name the first that does
    not fit.

    Every record is hashed anew and held against the chain of its stream, against the digest file
    and against the journal. Records that were set aside, late ones, and those that the store does
    not have yet are no trouble.

    Exit status: 0 everything fits; 1 something does not; 2 an option is wrong; 3 records or
    digests cannot be read; 130 interrupted.
    """
    from audit.digests import read_digests

    where = Whereabouts(data_dir, store, namespace, address)
    with explained():
        moment = None if since is None else parse_moment("--since", since, SystemClock().wall_us())
        if user is not None and not user.strip():
            raise ValueError(f"--user={user!r} is not allowed: it must not be empty")
        with reached(where) as trail:
            # A running engine knows its own file; a copy is read here, wherever the engine is.
            source = shown_url(trail.source)
            known = read_digests(*digests) if digests else None
            if known is None and not trail.is_live:
                known = digests_beside(where)
            report = trail.verification(since=moment, user_id=user, digests=known)
        if not report.is_known:
            raise ValueError(f"--user={user!r} names no account of this trail")
        if as_json:
            print(json.dumps(_data(report, source)))
        else:
            for line in lines(report, source):
                print(line)
        raise typer.Exit(FOUND if report.ok else NOT_FOUND)


def lines(report: VerifyReport, source: str) -> Iterator[str]:
    """Write a report for people."""
    if report.problem is not None:
        yield f"does not fit: {report.problem}"
        if report.broken > 1:
            yield f"nor do records of {report.broken - 1:,} other streams"
    if report.damage is not None:
        yield f"does not fit: {report.damage}"
    for note in report.notes:
        yield f"note: {note}"
    yield f"{'whole' if report.ok else 'NOT whole'}: {', '.join(_counts(report))}; {source}"


def _counts(report: VerifyReport) -> Iterator[str]:
    yield f"{report.records:,} records hashed in {report.streams:,} streams"
    if report.assumed_since is not None:
        yield (
            f"{report.assumed:,} more counted, for which the digest of "
            f"{iso(report.assumed_since)} vouches"
        )
    yield f"{report.digests:,} digests"


def _data(report: VerifyReport, source: str) -> dict[str, Any]:
    """Write a report for machines."""
    problem, damage, since = report.problem, report.damage, report.assumed_since
    return {
        "ok": report.ok,
        "problem": None if problem is None else asdict(problem),
        "broken_streams": report.broken,
        "digest_problem": None if damage is None else asdict(damage),
        "records": report.records,
        "streams": report.streams,
        "assumed": report.assumed,
        "assumed_since": None if since is None else iso(since),
        "digests": report.digests,
        "notes": list(report.notes),
        "source": source,
    }
