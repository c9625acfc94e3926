"""Another package of one of our names is noticed."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from actors import shadowing
from actors.shadowing import PackageShadowed, refuse_shadowed_packages


def test_our_own_packages_are_fine() -> None:
    refuse_shadowed_packages()
    assert {"engine", "actors", "audit"} == set(shadowing.PACKAGES)


def test_a_shadow_is_named_with_what_it_shadows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = tmp_path / "engine" / "__init__.py"
    monkeypatch.setattr(
        shadowing, "find_spec", lambda name: ModuleSpec(name, None, origin=str(theirs))
    )
    with pytest.raises(PackageShadowed, match="shadows") as refused:
        refuse_shadowed_packages()
    assert str(theirs) in str(refused.value)
    assert "engine/__init__.py" in str(refused.value)
