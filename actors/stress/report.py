"""The run's report: one HTML page with everything in it, readable without a network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from actors.stress.run import StressOutcome, times_to_flat_s
from actors.stress.summary import Summary
from audit.records import AuditRecord

_INK, _MUTED, _GRID = "#1d2733", "#66727f", "#e3e8ed"
_PRICE, _ALARM, _FLAT = "#3b6ea5", "#c8472f", "#2f7f6f"
MOST_POINTS = 4_000
"""Ticks drawn; more cannot be told apart on a screen and only make the page heavy."""


def write_report(outcome: StressOutcome, path: Path) -> None:
    """Write the report of a run to ``path``."""
    environment = Environment(
        loader=PackageLoader("actors.stress"), autoescape=True, undefined=StrictUndefined
    )
    charts = [
        ("Price, and where the guards tripped", _price_chart(outcome)),
        ("Open positions after the first trigger", _positions_chart(outcome)),
        ("Time to flat", _flat_chart(outcome)),
    ]
    html = environment.get_template("report.html.j2").render(
        summary=outcome.summary,
        plan=outcome.plan,
        verdict=_verdict(outcome.summary),
        reasons=_reasons(outcome.accepted),
        chaos=() if outcome.summary.chaos is None else outcome.summary.chaos.rows(),
        problems=() if outcome.summary.chaos is None else outcome.summary.chaos.history_problems,
        plotly_js=get_plotlyjs(),
        charts=[
            (title, figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG))
            for title, figure in charts
        ],
        colours={"ink": _INK, "muted": _MUTED, "grid": _GRID, "alarm": _ALARM, "flat": _FLAT},
    )
    path.write_text(html, encoding="utf-8")


_CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def _verdict(summary: Summary) -> str:
    if summary.interrupted:
        return "Interrupted: what was closed is recorded, the rest was not judged."
    if summary.is_good:
        return "Every triggered account is flat, and the audit store agrees with the broker's book."
    return "Not good: positions are left open, or the audit store and the broker's book disagree."


def _price_chart(outcome: StressOutcome) -> go.Figure:
    prices = outcome.plan.prices
    step = max(1, len(prices) // MOST_POINTS)
    shown = range(0, len(prices), step)
    times = [_utc(prices.times_ms[i]) for i in shown]
    figure = _figure("market time", f"{prices.symbol} bid")
    figure.add_scatter(
        x=times, y=[prices.bids[i] for i in shown], mode="lines", name="bid", line={"color": _PRICE}
    )
    marks = [mark for record in outcome.accepted if (mark := _trigger_mark(record))]
    figure.add_scatter(
        x=[when for when, _, _ in marks],
        y=[bid for _, bid, _ in marks],
        text=[text for _, _, text in marks],
        mode="markers",
        name="trigger",
        marker={"color": _ALARM, "size": 9, "symbol": "triangle-down", "line": {"width": 0}},
        hovertemplate="%{text}<extra></extra>",
    )
    return figure


def _trigger_mark(record: AuditRecord) -> tuple[datetime, float, str] | None:
    inputs: dict[str, Any] = record.meta_data.get("inputs", {})
    ticks = inputs.get("ticks", [])
    if not ticks:
        return None
    text = f"{record.user_id}: {record.meta_data.get('reason', '')}"
    return _utc(ticks[0]["time_ms"]), ticks[0]["bid"], text


def _positions_chart(outcome: StressOutcome) -> go.Figure:
    start = min((episode.triggered_us for episode in outcome.episodes), default=0)
    triggered = {episode.user_id for episode in outcome.episodes}
    total = sum(len(a.positions) for a in outcome.plan.accounts if a.user_id in triggered)
    filled = sorted(r.filled_at for r in outcome.closes if r.filled_at is not None)
    seconds = [0.0, *((at - start) / 1_000_000 for at in filled)]
    figure = _figure("seconds after the first trigger", "positions open on triggered accounts")
    figure.add_scatter(
        x=seconds,
        y=list(range(total, total - len(seconds), -1)),
        mode="lines",
        line={"color": _FLAT, "shape": "hv"},
        fill="tozeroy",
        fillcolor="rgba(47,127,111,0.12)",
        name="open",
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _flat_chart(outcome: StressOutcome) -> go.Figure:
    figure = _figure("seconds from trigger to flat", "accounts")
    figure.add_histogram(
        x=times_to_flat_s(outcome.episodes), marker={"color": _FLAT}, nbinsx=40, name="accounts"
    )
    figure.update_layout(bargap=0.06)
    figure.update_xaxes(rangemode="tozero")
    return figure


def _figure(x: str, y: str) -> go.Figure:
    figure = go.Figure()
    axis = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID}
    figure.update_layout(
        template="none",
        height=340,
        margin={"l": 64, "r": 16, "t": 12, "b": 48},
        showlegend=False,
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**axis, "title": {"text": x, "font": {"color": _MUTED}}},
        yaxis={**axis, "title": {"text": y, "font": {"color": _MUTED}}},
    )
    return figure


def _reasons(accepted: Sequence[AuditRecord]) -> list[tuple[str, int]]:
    """Count triggers by guard, most frequent first."""
    counts: dict[str, int] = {}
    for record in accepted:
        guard = str(record.meta_data.get("guard", "?"))
        kind = str(record.meta_data.get("reason", "")).split(" ", 1)[0]
        name = guard if guard == "operator" or guard == kind else f"{guard}: {kind}"
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
