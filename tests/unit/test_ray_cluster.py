"""``ray_cluster.yaml`` is what Ray's cluster launcher takes."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]  # Ray brings it; its stubs are a package apart
from ray.autoscaler._private.util import prepare_config, validate_config

FILE = Path(__file__).resolve().parents[2] / "ray_cluster.yaml"
DOCUMENTATION_ADDRESSES = ipaddress.ip_network("192.0.2.0/24")


def launchers_view(raw: dict[str, Any]) -> dict[str, Any]:
    """Prepare and validate as ``ray up`` does; the one place that touches Ray's private API.

    Raises:
        jsonschema.ValidationError: the launcher would refuse it.
    """
    prepared: dict[str, Any] = prepare_config(raw)
    validate_config(prepared)
    return prepared


@pytest.fixture
def raw() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = (files("ray.autoscaler") / "ray-schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_file_as_it_stands_keeps_to_rays_schema(
    raw: dict[str, Any], schema: dict[str, Any]
) -> None:
    # Preparing fills in what is missing, so the raw file is held to the schema first.
    jsonschema.validate(raw, schema)
    assert set(raw) <= set(schema["properties"])


def test_the_launcher_takes_it(raw: dict[str, Any]) -> None:
    prepared = launchers_view(raw)
    node_type = prepared["available_node_types"][prepared["head_node_type"]]
    workers = len(raw["provider"]["worker_ips"])
    assert (node_type["min_workers"], node_type["max_workers"]) == (workers, workers)


def test_the_launcher_would_refuse_an_unknown_key(raw: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="no_such_key"):
        launchers_view({**raw, "no_such_key": 1})


def test_it_names_a_head_and_workers_at_addresses_for_documentation(raw: dict[str, Any]) -> None:
    provider = raw["provider"]
    assert provider["type"] == "local"
    assert provider["worker_ips"]
    for address in (provider["head_ip"], *provider["worker_ips"]):
        assert ipaddress.ip_address(address) in DOCUMENTATION_ADDRESSES
    text = FILE.read_text(encoding="utf-8")
    for address in re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?!/)", text):
        assert ipaddress.ip_address(address) in DOCUMENTATION_ADDRESSES


def test_it_installs_the_engine_and_holds_no_secret(raw: dict[str, Any]) -> None:
    assert any("pip install risk-engine" in command for command in raw["setup_commands"])
    assert raw["auth"]["ssh_user"]
    assert "docker" not in raw
    text = FILE.read_text(encoding="utf-8")
    assert "RAY_AUTH_TOKEN" in text
    assert re.findall(r"RAY_AUTH_TOKEN\s*=|--redis-password[= ][^.\s]", text) == []


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_its_nodes_start_ray_with_little_memory_for_objects(raw: dict[str, Any], kind: str) -> None:
    stop, start = raw[f"{kind}_start_ray_commands"]
    assert shlex.split(stop)[-1] == "stop"
    words = shlex.split(start)
    where = "--head" if kind == "head" else "--address=$RAY_HEAD_IP:6379"
    assert where in words
    options = dict(word[2:].split("=", 1) for word in words if re.match(r"--[^=]+=", word))
    assert 75_000_000 <= int(options["object-store-memory"]) <= 1_000_000_000
    resources = json.loads(options["resources"])
    assert all(amount > 0 for amount in resources.values())
