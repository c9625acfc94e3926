"""``risk-engine simulate``: the whole engine under virtual time, once for each seed."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from actors.messages import EpisodeState
from actors.simulation.campaign import Campaign, Stopwatch, run_seeds
from actors.simulation.run import run_seed
from actors.simulation.told import lines_of

GOOD, BAD, USAGE, INTERRUPTED = 0, 1, 2, 130
MOST_POSITIONS = 100_000
"""In one scenario: beyond, a single seed takes longer than anybody waits."""
SHOWN = 5
"""Failing seeds that are told in full; the others are in the JSON."""


def whole(about: str) -> Any:
    """Make an option that takes a whole number, and names what it got instead of one."""
    return typer.Option(help=about, parser=_whole_number, metavar="INTEGER")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number, such as 1000") from None


def simulate(
    seeds: Annotated[int, whole("How many scenarios to run.")] = 1000,
    seed: Annotated[int, whole("The first seed; the others follow it.")] = 1,
    accounts: Annotated[int, whole("User accounts in each.")] = 5,
    positions: Annotated[int, whole("Positions of each account at first.")] = 5,
    jobs: Annotated[int, whole("Processes. Results do not depend on it.")] = 1,
    history: Annotated[
        Path | None,
        typer.Option(help="With --seeds 1: write calls and books, for audit check-history."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="With --seeds 1: write every event, as JSON lines.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
) -> None:
    """Run the whole engine under virtual time while everything goes wrong, and check its promises.

    One seed is one scenario: accounts, what clients do, and which faults strike when. The same
    seed gives the same history, byte for byte.

    Exit status: 0 no promise was broken; 1 one was; 2 the options are wrong; 130 it was
    interrupted with Ctrl-C: the seeds done so far are reported all the same.
    """
    console, errors = Console(), Console(stderr=True)
    for name, value in (
        ("--seeds", seeds),
        ("--accounts", accounts),
        ("--positions", positions),
        ("--jobs", jobs),
    ):
        if value < 1:
            _refuse(errors, f"{name} {value}: it must be 1 or more")
    if accounts * positions > MOST_POSITIONS:
        asked = f"--accounts {accounts} --positions {positions}"
        _refuse(errors, f"{asked}: a scenario has {MOST_POSITIONS:,} positions at most")
    if seed < 0:
        _refuse(errors, f"--seed {seed}: it must be 0 or more")
    for name, file in (("--history", history), ("--events", events)):
        if file is not None and seeds != 1:
            _refuse(errors, f"{name} {file}: it is of one seed; give --seeds 1, too")
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            _refuse(errors, f"{name} {file}: name a file in a folder that exists")
    campaign = Campaign(accounts=accounts, positions=positions)
    watch = Stopwatch()
    with _Interruption() as interruption:
        if history is None and events is None:
            _run_all(errors, campaign, seed, seeds, jobs, interruption)
        else:
            _run_one(errors, campaign, seed, history, events)
    campaign.took_s = watch.seconds()
    if interruption.was_asked:
        errors.print(f"Interrupted after {counted(campaign.seeds, 'seed')}.", style="yellow")
    if as_json:
        print(json.dumps({**campaign.data(), "interrupted": interruption.was_asked}))
    else:
        _print(console, campaign)
    if interruption.was_asked:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(BAD if campaign.violations else GOOD)


def counted(number: int, thing: str) -> str:
    """Write a number with what it counts: ``1 seed``, ``2,000 seeds``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


class _Interruption:
    """Lets Ctrl-C take effect between two seeds; a second one strikes at once."""

    def __init__(self) -> None:
        self.was_asked = False

    def __enter__(self) -> Self:
        self._is_ours = threading.current_thread() is threading.main_thread()
        if self._is_ours:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.was_asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _refuse(errors: Console, text: str) -> NoReturn:
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(USAGE)


def _run_one(
    errors: Console, campaign: Campaign, seed: int, history: Path | None, events: Path | None
) -> None:
    outcome = run_seed(
        seed, accounts=campaign.accounts, positions=campaign.positions, keep_history=True
    )
    campaign.add(outcome)
    if outcome.history is None or outcome.told is None:
        return  # it broke off; the report says how
    for name, file, text in (
        ("--history", history, lines_of(outcome.told)),
        ("--events", events, outcome.history.lines()),
    ):
        try:
            if file is not None:
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            _refuse(errors, f"{name} {file} cannot be written: {error}")


def _run_all(
    errors: Console,
    campaign: Campaign,
    seed: int,
    seeds: int,
    jobs: int,
    interruption: _Interruption,
) -> None:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with progress:
        task = progress.add_task("seeds", total=seeds)
        outcomes = run_seeds(
            seed,
            seeds,
            accounts=campaign.accounts,
            positions=campaign.positions,
            jobs=jobs,
            is_stopped=lambda: interruption.was_asked,
        )
        for outcome in outcomes:
            campaign.add(outcome)
            failing = len(campaign.failed)
            progress.update(
                task, advance=1, description=f"{failing} failing" if failing else "seeds"
            )


def _print(console: Console, campaign: Campaign) -> None:
    table = Table(title="How often which fault met an episode in which state", title_justify="left")
    table.add_column("fault")
    for state in EpisodeState:
        table.add_column(state.value, justify="right")
    for kind, row in campaign.coverage.table().items():
        cells = (f"{row[state.value]:,}" if row[state.value] else "-" for state in EpisodeState)
        table.add_row(kind.removeprefix("terminal: "), *cells)
    console.print(table)
    for failed in campaign.failed[:SHOWN]:
        console.print(f"\nSeed {failed.seed}", style="bold red")
        for text in failed.violations[:SHOWN]:
            console.print(f"  {text}", style="red", markup=False, highlight=False)
        for line in failed.excerpt:
            console.print(Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis"))
        console.print(f"Repeat it: {failed.command}", markup=False, soft_wrap=True)
    if len(campaign.failed) > SHOWN:
        rest = ", ".join(str(failed.seed) for failed in campaign.failed[SHOWN:])
        console.print(f"\nMore failing seeds: {rest}", style="red", markup=False)
    console.print(
        f"{counted(campaign.seeds, 'seed')}, {campaign.virtual_s / 3600:,.1f} simulated hours, "
        f"{campaign.seeds_per_s:,.1f} seeds per second"
    )
    if campaign.violations:
        console.print(f"{counted(campaign.violations, 'violation')}.", style="bold red")
        for promise, count in sorted(campaign.by_promise.items()):
            console.print(f"  {promise}: {counted(count, 'seed')}", style="red", markup=False)
    elif campaign.seeds:
        console.print("No promise was broken.", style="green")
    else:
        console.print("Nothing was checked.", style="yellow")
