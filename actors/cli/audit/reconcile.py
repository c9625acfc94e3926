"""``risk-engine audit reconcile``: compare the store with the brokers' deals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.audit.reaching import (
    FOUND,
    NOT_FOUND,
    UNREADABLE,
    Address,
    Namespace,
    Whereabouts,
    explained,
)

if TYPE_CHECKING:
    from actors.handle import RiskEngine
    from audit.differences import AccountReconciled

NONE, DIFFERENCES, NOT_DONE = FOUND, NOT_FOUND, UNREADABLE


def reconcile(
    user: Annotated[
        str | None, typer.Option(help="This account only. [default: all]", show_default=False)
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(help="Count what others closed (stops, by hand) as a difference, too."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as one JSON object.")
    ] = False,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Compare what the store says of closes with the brokers' deals; an engine must be running.

    Closes that the store does not know, records without a deal, and P&L, lots or prices that
    differ become records, each once. What others closed is noted, and no fault of the store.

    Exit status: 0 no difference; 1 differences; 2 an option is wrong; 3 it could not be done, or
    not for every account; 130 interrupted.
    """
    with explained():
        if user is not None and not user.strip():
            raise ValueError(f"--user={user!r} is not allowed: it must not be empty")
        with running_engine(Whereabouts(namespace=namespace, address=address)) as engine:
            reports = engine.reconcile(user)
        if as_json:
            print(json.dumps({"accounts": [report.data() for report in reports]}))
        else:
            for line in lines_of(reports):
                print(line)
        raise typer.Exit(status_of(reports, strict=strict))


def status_of(reports: Sequence[AccountReconciled], *, strict: bool = False) -> int:
    """Turn what was found into an exit status."""
    if any(report.error is not None for report in reports):
        return NOT_DONE
    if strict and any(report.differences for report in reports):
        return DIFFERENCES
    return NONE if all(report.is_clean for report in reports) else DIFFERENCES


def lines_of(reports: Sequence[AccountReconciled]) -> list[str]:
    """Say for people what was found; what a broker wrote may not steer their terminal."""
    from audit.certificate_page import shown

    lines = []
    for report in reports:
        if report.error is not None:
            lines.append(f"{report.user_id}: not done: {report.error}")
            continue
        count = sum(not one.kind.is_mild for one in report.differences)
        noted = len(report.differences) - count
        lines.append(
            f"{report.user_id}: {report.closes:,} records and {report.deals:,} deals compared, "
            f"{count:,} difference{'' if count == 1 else 's'}"
            + (f", {noted:,} closed by others" if noted else "")
        )
        for one in report.differences:
            known = "" if one.is_new else " (on record already)"
            lines.append(f"  {one.kind.value}: {one.text}{known}")
    return [str(shown(line)) for line in lines] or ["no accounts: nothing to compare"]


@contextmanager
def running_engine(where: Whereabouts) -> Iterator[RiskEngine]:
    """Lend the engine that runs in the namespace; never start one.

    Raises:
        RiskEngineError: there is none; the message says what to do.
        ValueError: an option is wrong.
    """
    from actors.calls import EngineNotFound
    from actors.handle import RiskEngine  # Ray takes a second to import
    from actors.ray_runtime import NoCluster, join, leave

    config = where.config()
    is_ours = False
    try:
        is_ours = join(where.address)
        engine = RiskEngine.attach(namespace=config.namespace)
    except (NoCluster, EngineNotFound) as error:
        if is_ours:
            leave()
        raise EngineNotFound(
            f"no engine runs in namespace={config.namespace!r} ({error}); deals are read by the "
            "accounts' own actors, so start the engine with its accounts and try again"
        ) from error
    try:
        yield engine
    finally:
        if is_ours:
            leave()
