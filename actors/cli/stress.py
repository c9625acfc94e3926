"""``risk-engine stress``: watch a crash."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from actors.stress.options import StressOptions
from actors.stress.plan import make_plan
from actors.stress.progress import LiveView, NoView, RunView
from actors.stress.report import write_report
from actors.stress.run import StressOutcome, run_stress
from actors.stress.summary import Spread, Summary
from engine.errors import RiskEngineError
from engine.simulated.served import VenueFailed

GOOD, BAD, USAGE, INTERRUPTED = 0, 1, 2, 130


def stress(
    accounts: Annotated[int, typer.Option(help="User accounts, one actor each.")] = 10,
    positions: Annotated[int, typer.Option(help="Positions of each account.")] = 10,
    scenario: Annotated[
        str, typer.Option(help="Generated prices: snb-2015 or flash-crash.")
    ] = "snb-2015",
    prices: Annotated[
        Path | None, typer.Option(help="A MetaTrader 5 export of ticks or bars, with --symbol.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Symbol of the price file.")] = None,
    latency_ms: Annotated[float, typer.Option(help="From order to fill.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides scenario and portfolios.")] = 1,
    leverage: Annotated[
        str, typer.Option(help="Exposure over deposit: one number, or a range low:high.")
    ] = "5:30",
    trigger: Annotated[
        str | None,
        typer.Option(
            help="guards: each account's own decide. all: everyone, at the worst moment.",
            show_default="guards; all with --chaos",
        ),
    ] = None,
    venue: Annotated[
        str,
        typer.Option(
            help="simulated: in the accounts' own processes. external: in a process outside, "
            "which outlives them and counts by itself."
        ),
    ] = "simulated",
    chaos: Annotated[
        str | None,
        typer.Option(
            help="Kill processes of the engine: kills=N,seed=S, and perhaps targets= "
            "one or several of account,supervisor,audit. With --venue external."
        ),
    ] = None,
    settle_ms: Annotated[
        float | None,
        typer.Option(help="How long a request may still act, with --chaos.", show_default="1000"),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Audit store: duckdb:///FILE, or postgresql+psycopg://USER@HOST/DATABASE that no "
            "engine fills. Default: a DuckDB file in the run's folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: runs/<time>.")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="Market time over wall time; 0 is as fast as possible.")
    ] = 0.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
) -> None:
    """Let prices fall, guards trip and accounts liquidate; verify the store against the book.

    Exit status: 0 every triggered account is flat and the store agrees with the broker's book;
    1 not so; 2 the options are wrong; 130 interrupted.
    """
    console, errors = Console(), Console(stderr=True)
    # Libraries stay silent unless asked; a command's problems belong on stderr.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = StressOptions(
            accounts=accounts,
            positions=positions,
            scenario=scenario,
            prices=prices,
            symbol=symbol,
            latency_ms=latency_ms,
            seed=seed,
            leverage=leverage,
            trigger=trigger,  # type: ignore[arg-type]  # pydantic checks it
            venue=venue,  # type: ignore[arg-type]  # pydantic checks it
            chaos=chaos,
            settle_ms=settle_ms,
            audit=audit,
            out=out,
            speed=speed,
        )
        plan = make_plan(options)
        folder = _make_folder(options.out)
    except ValidationError as error:
        for problem in error.errors():
            name = "--" + "-".join(str(part) for part in problem["loc"]).replace("_", "-")
            # A message of ours has the value in it, and hides a password that a URL may hold.
            is_ours = problem["type"] == "value_error"
            given = "" if is_ours else f" (given: {problem['input']})"
            message = problem["msg"].removeprefix("Value error, ")
            _complain(errors, f"{name if problem['loc'] else 'options'}: {message}{given}")
        raise typer.Exit(USAGE) from None
    except (ValueError, OSError) as error:
        _complain(errors, str(error))
        raise typer.Exit(USAGE) from None
    is_live = console.is_terminal and not as_json
    view: RunView = (
        LiveView(console, options.accounts, plan.position_count) if is_live else NoView(errors)
    )
    try:
        with _quiet_stdout(is_live), view:
            outcome = run_stress(plan, folder, view)
    except (RiskEngineError, ConnectionError, VenueFailed) as error:
        _complain(errors, f"{type(error).__name__}: {error}")
        raise typer.Exit(BAD) from None
    except KeyboardInterrupt:
        _complain(errors, f"Interrupted. What was recorded until then is in {folder}")
        raise typer.Exit(INTERRUPTED) from None
    _write(outcome, folder)
    if as_json:
        print(json.dumps(outcome.summary.data()))
    else:
        _print_table(console, outcome.summary, folder)
    if outcome.summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(GOOD if outcome.summary.is_good else BAD)


def _quiet_stdout(is_live: bool) -> AbstractContextManager[object]:
    """Keep stdout for the result: Ray prints its raylet's warnings there, whatever it is told.

    A live view has the terminal's stdout to itself and puts what is printed above its bars.
    """
    return nullcontext() if is_live else redirect_stdout(sys.stderr)


def _complain(errors: Console, text: str) -> None:
    """Print as it stands: no markup in users' values, no line breaks in their paths."""
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def _make_folder(wish: Path | None) -> Path:
    """Make the run's folder; a new one each time, so that no run is mixed with another."""
    if wish is not None:
        if wish.exists() and (not wish.is_dir() or any(wish.iterdir())):
            raise ValueError(f"--out {wish} exists and is not empty; name a new folder")
        wish.mkdir(parents=True, exist_ok=True)
        return wish.absolute()
    name = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        folder = Path("runs") / f"{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue  # another run began in the same second
        return folder.absolute()
    raise ValueError(f"runs/{name} and its likes exist; name a folder with --out")


def _write(outcome: StressOutcome, folder: Path) -> None:
    text = json.dumps(outcome.summary.data(), indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    write_report(outcome, folder / "report.html")


def _print_table(console: Console, summary: Summary, folder: Path) -> None:
    table = Table(title=f"{summary.symbol}, {summary.scenario}", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, value in _rows(summary):
        table.add_row(name, value)
    console.print(table)
    for example in summary.mismatch_examples:
        console.print(example, style="red", markup=False)
    for problem in summary.chaos.history_problems if summary.chaos else ():
        console.print(problem, style="red", markup=False)
    if summary.chain_problem:
        console.print(summary.chain_problem, style="red", markup=False)
    if summary.is_good:
        console.print("Every triggered account is flat; store and book agree.", style="green")
    elif summary.interrupted:
        console.print("Interrupted; what was closed is recorded.", style="yellow")
    else:
        console.print("NOT good: see the figures above.", style="red")
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True, markup=False)


def _rows(s: Summary) -> list[tuple[str, str]]:
    return [
        ("accounts", f"{s.accounts:,}"),
        ("positions", f"{s.positions:,}"),
        ("triggers", f"{s.triggers:,}"),
        ("closed", f"{s.closed:,}"),
        ("failed", f"{s.failed:,}"),
        ("residual", f"{s.residual:,}"),
        ("double closes (broker's book)", f"{s.double_closes:,}"),
        ("store and book disagree", f"{s.mismatches:,}"),
        ("audit records", f"{s.audit_records:,}"),
        ("hash chains", "whole" if s.chain_ok else "BROKEN"),
        ("total P&L", f"{s.total_pnl:,.2f} {s.currency}"),
        ("arming", f"{s.arming_s:.2f} s"),
        ("makespan (first trigger to last on disk)", f"{s.makespan_s:.3f} s"),
        ("ideal (positions x latency)", f"{s.ideal_s:.3f} s"),
        ("closes per second", f"{s.closes_per_s:,.0f}"),
        ("time to flat p50 / p99 / max", _spread(s.time_to_flat_s, "s")),
        ("trigger to first order p50 / p99", _spread(s.trigger_to_first_order_ms, "ms", False)),
        ("placement", s.placement),
        *(s.chaos.rows() if s.chaos is not None else ()),
    ]


def _spread(spread: Spread, unit: str, with_max: bool = True) -> str:
    values = [spread.p50, spread.p99, *([spread.max] if with_max else [])]
    if any(value is None for value in values):
        return "-"
    return " / ".join(f"{value:.3f}" for value in values) + f" {unit}"
