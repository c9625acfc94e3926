"""One Ray for the whole folder, one engine a test (or a module, where tests can share it)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import ray
from ray.util import list_named_actors

from actors import RiskEngine
from engine.config import EngineConfig
from tests.cluster.processes import assert_all_end, descendants
from tests.cluster.waiting import wait_until

EngineStarter = Callable[..., AbstractContextManager[RiskEngine]]


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Start Ray, say where it is, and see to it that nothing of it is left."""
    with pytest.MonkeyPatch.context() as environment:
        # One machine, one user: without a token nothing is written into the home directory.
        # Whoever has chosen a mode keeps it.
        if "RAY_AUTH_MODE" not in os.environ:
            environment.setenv("RAY_AUTH_MODE", "disabled")
        before = descendants(os.getpid())
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
        try:
            yield ray.get_runtime_context().gcs_address
        finally:
            started = {
                pid: began
                for pid, began in descendants(os.getpid()).items()
                if before.get(pid) != began
            }
            ray.shutdown()
    assert started, "Ray's processes were not found; the check below would prove nothing"
    assert_all_end(started)


@pytest.fixture(scope="session")
def new_engine(ray_address: str) -> EngineStarter:
    """Start engines, each in a namespace of its own, that end with their block."""

    @contextmanager
    def start(folder: Path, **settings: object) -> Iterator[RiskEngine]:
        namespace = f"test-{uuid4().hex}"
        chosen: dict[str, object] = {"data_dir": folder, "mode": "enforce", **settings}
        engine = RiskEngine.start(EngineConfig.model_validate(chosen), namespace=namespace)
        try:
            yield engine
        finally:
            end_actors(namespace)

    return start


@pytest.fixture
def engine(new_engine: EngineStarter, tmp_path: Path) -> Iterator[RiskEngine]:
    """Start an engine without accounts."""
    with new_engine(tmp_path) as engine:
        yield engine


def actors_of(namespace: str) -> list[str]:
    """Name the actors that live in a namespace."""
    return sorted(
        actor["name"]
        for actor in list_named_actors(all_namespaces=True)
        if actor["namespace"] == namespace
    )


def end_actors(namespace: str) -> None:
    """End whatever a test has left running."""
    for name in actors_of(namespace):
        ray.kill(ray.get_actor(name, namespace=namespace), no_restart=True)
    wait_until(
        lambda: not actors_of(namespace),
        what=lambda: f"actors were left behind: {actors_of(namespace)}",
    )
