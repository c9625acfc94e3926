"""A mutant: one fault as exact replacements in the source."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("engine", "audit", "actors")
"""What a copy of the source tree consists of."""


class Moved(Exception):
    """A replacement does not match the source exactly once: the engine has moved on."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of text.

    Args:
        path: of the file, from the root of the tree.
        old: stands in it exactly once.
        new: takes its place.
    """

    path: str
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """Return the file's text with the replacement.

        Raises:
            Moved: ``old`` does not stand in it exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise Moved(
                f"{self.path}: this text stands in it {count} times, not once:\n{self.old}\n"
                "the engine has moved: find where the fault belongs now, and mend the catalogue"
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Args:
        name: short, for the command line and the table.
        harm: what the engine does wrong with it.
        edits: all of them together are the fault.
    """

    name: str
    harm: str
    edits: tuple[Edit, ...]

    def texts(self, root: Path) -> dict[str, str]:
        """Return the new text of every file that it changes; nothing is written.

        Args:
            root: of the source tree.

        Raises:
            Moved: an edit does not match.
        """
        changed: dict[str, str] = {}
        for edit in self.edits:
            text = changed.get(edit.path)
            if text is None:
                text = (root / edit.path).read_text(encoding="utf-8")
            changed[edit.path] = edit.applied_to(text)
        return changed

    def put_into(self, copy: Path) -> None:
        """Write the fault into a copy of the source tree."""
        for path, text in self.texts(copy).items():
            (copy / path).write_text(text, encoding="utf-8")


def copy_tree(root: Path, to: Path, *more: str) -> Path:
    """Copy the packages of the source tree ``root``, and ``more``, to ``to``, and return it."""
    for package in (*PACKAGES, *more):
        shutil.copytree(
            root / package, to / package, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    return to
