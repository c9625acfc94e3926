"""Being a guest in Ray: join a cluster that runs, start one that does not, end only one's own."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from pathlib import Path

import ray

from engine.errors import RiskEngineError

_REACHED_WITHIN_S = 5.0


class NoCluster(RiskEngineError):
    """There is no Ray cluster that could be joined."""


def join_or_start(address: str | None) -> bool:
    """Make sure that this process is connected to Ray.

    Args:
        address: of a cluster; ``"local"`` starts a new one on this machine; ``None`` joins the
            one that runs here or that ``RAY_ADDRESS`` names, and starts one if there is none.

    Returns:
        Whether Ray was initialised here: if so, :func:`leave` is ours to call.
    """
    if ray.is_initialized():
        return False
    # The dashboard is a web server that nobody asked for; logs of actors stay in Ray's files.
    ray.init(
        address=address,
        include_dashboard=False if address in (None, "local") else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    return True


def join(address: str | None) -> bool:
    """Make sure that this process is connected to a cluster that runs; never start one.

    Args:
        address: as for :func:`join_or_start`, but for ``"local"``.

    Returns:
        Whether Ray was initialised here: if so, :func:`leave` is ours to call.

    Raises:
        NoCluster: there is none, or it cannot be reached.
    """
    if ray.is_initialized():
        return False
    meant = address or os.environ.get("RAY_ADDRESS") or _noted_address() or "auto"
    _refuse_unreachable(meant)
    try:
        ray.init(address=meant, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NoCluster(
            f"address={meant!r}: no Ray cluster can be joined ({error}); start the engine, or "
            "name the address of the cluster in which it runs (host:port)"
        ) from error
    return True


def _noted_address() -> str | None:
    """Return where Ray noted the newest cluster of this machine, if it did."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        return Path(folder, "ray", "ray_current_cluster").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _refuse_unreachable(address: str) -> None:
    """Find out at once what Ray finds out after minutes, and then ends the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise NoCluster(
            f"address={address!r}: no Ray cluster answers there ({error}); start the engine, or "
            "name the address of the cluster in which it runs (host:port)"
        ) from error


def leave() -> None:
    """Disconnect; ends the cluster if this process has started it."""
    ray.shutdown()
