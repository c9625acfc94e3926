"""The times of simulated engines: short, so that a whole life of one takes a minute or two."""

from __future__ import annotations

from pathlib import Path

from engine.config import EngineConfig

SETTLE_WINDOW_S = 2.0
LATEST_EXECUTION_S = 0.8 * SETTLE_WINDOW_S
"""How late the venue may carry out a request that it has."""
LEASE_S = 3.0
SILENCE_S = 5.0
SHORT_HANG_S = (0.2, 4.0)
"""Hangs that end by themselves, within the silence that is borne."""
POSITION_BUDGET_S = 15.0
SEND_DEADLINE_S = 4.0
DEAL_LAG_S = 1.0
LONG_HANG_S = 7.0
"""A hang that the watchdog has to end takes at least this long."""


MOST_HELD = 2_000
"""Records that an account may hold, where a plan says nothing else."""


def simulated_config(folder: Path, *, observes: bool, most_held: int = MOST_HELD) -> EngineConfig:
    """Return the configuration of a simulated engine whose files are in ``folder``."""
    return EngineConfig(
        data_dir=folder,
        mode="observe" if observes else "enforce",
        settle_window_s=SETTLE_WINDOW_S,
        deal_lag_s=DEAL_LAG_S,
        position_budget_s=POSITION_BUDGET_S,
        read_deadline_s=3.0,
        send_deadline_s=SEND_DEADLINE_S,
        session_probe_s=2.0,
        session_wait_s=60.0,
        lease_s=LEASE_S,
        silence_s=SILENCE_S,
        episode_budget_s=60.0,
        sweep_first_s=1.0,
        sweep_longest_s=8.0,
        poll_interval_s=1.0,
        most_held=most_held,
    )
