"""Detects another package named ``engine``, ``actors`` or ``audit`` in place of this one's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from engine.errors import RiskEngineError

PACKAGES = ("engine", "actors", "audit")


class PackageShadowed(RiskEngineError):
    """Another package of the same name comes first on the import path."""


def refuse_shadowed_packages() -> None:
    """Make sure that the three packages come from one and the same place.

    Raises:
        PackageShadowed: naming the file that shadows, and what it shadows.
    """
    home = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        spec = find_spec(package)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        expected = home / package / "__init__.py"
        if found != expected:
            raise PackageShadowed(
                f"package {package!r} is {found or 'a folder without __init__.py'}, which shadows "
                f"risk-engine's own {expected}; rename yours, or put risk-engine's folder before "
                "it on the import path"
            )
