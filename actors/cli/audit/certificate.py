"""``risk-engine audit certificate``: what one episode met, did and left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.audit.reaching import (
    FOUND,
    NOT_FOUND,
    Address,
    DataDir,
    Namespace,
    Store,
    Whereabouts,
    check_target,
    digests_beside,
    explained,
    reached,
)

if TYPE_CHECKING:
    from audit.certificate import Certificate


def certificate(
    trigger: Annotated[str, typer.Argument(help="A trigger's id, or a direct close's episode.")],
    html: Annotated[
        Path | None, typer.Option(help="Write the certificate as a page that prints.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the page's file if there is one.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the certificate as one JSON object.")
    ] = False,
    data_dir: DataDir = None,
    store: Store = None,
    namespace: Namespace = None,
    address: Address = None,
) -> None:
    """Make the flat certificate of an episode, by its records alone, and check their chains.

    Exit status: 0 it is flat, or what it named is closed, and that is proven; 1 it is not, or
    not proven; 2 an option is wrong; 3 there are no such records, they cannot be read, or the
    page cannot be written.
    """
    from audit.certificate_page import write_certificate_page
    from audit.certifying import certificate_of
    from engine.clock import SystemClock

    with explained():
        if html is not None:
            check_target("--html", html, force=force)
        where = Whereabouts(data_dir, store, namespace, address)
        with reached(where) as trail:
            digests = None if trail.is_live else digests_beside(where)
            now = SystemClock().wall_us()
            made = certificate_of(trail, trigger, made_at=now, digests=digests)
        if html is not None:
            write_certificate_page(made, html)
        if as_json:
            print(made.json())
        else:
            for line in lines_of(made):
                print(line)
            if html is not None:
                print(f"written to {html}")
        raise typer.Exit(FOUND if made.is_good else NOT_FOUND)


def lines_of(made: Certificate) -> list[str]:
    """Say in a few lines what a certificate says."""
    from audit.certificate import Verdict
    from audit.certificate_page import shown, untold

    times = made.timings
    lines = [f"{made.title}: account {made.user_id}, trigger {made.trigger_id}"]
    if not made.is_proven:
        lines.append(f"  verification failed: {made.verification.problem}")
        lines.append(f"  what the records say: {made.verdict.value}")
    lines += [f"  {reason}" for reason in made.reasons]
    for name, at in (
        ("accepted", times.accepted),
        ("first order on record" if made.untold_orders else "first order", times.first_order),
        ("closed" if made.verdict is Verdict.CLOSED else "flat", times.flat),
    ):
        if at is not None:
            lines.append(f"  {name} {times.seconds(at):+.6f} s after the trigger")
    if made.untold_orders:
        lines.append(f"  {untold(made)}")
    attempts = sum(len(close.evidence.attempts) for close in made.closes)
    before = "not on record" if made.before is None else f"{made.before.open:,}"
    after = "not on record" if made.after is None else f"{made.after.open:,}"
    lines.append(f"  open before: {before}; open after: {after}")
    lines.append(f"  {len(made.closes):,} closes, {attempts:,} attempts")
    lines += [f"  left: {r.position_id}: {r.reason}" for r in made.residuals]
    lines += [f"  {t.record.event_type.value}: {t.record.description}" for t in made.troubles]
    # Verification holds what else was checked, too: the account's whole trail, with these chains.
    streams = {entry.record.stream for entry in made.places}
    chains = [chain for chain in made.verification.chains if chain.stream in streams]
    checked = sum(chain.records for chain in chains)
    lines.append(
        f"  rests on {len(made.places):,} records; {checked:,} checked in "
        f"{len(chains):,} chain{'' if len(chains) == 1 else 's'}, and the account's whole trail"
    )
    lines += [f"  note: {note}" for note in made.verification.notes]
    return [str(shown(line)) for line in lines]
