"""Being a guest in Ray: join a cluster that runs, start one that does not, end only one's own."""

from __future__ import annotations

import logging

import ray

_log = logging.getLogger(__name__)


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


def leave() -> None:
    """Disconnect; ends the cluster if this process has started it."""
    ray.shutdown()
