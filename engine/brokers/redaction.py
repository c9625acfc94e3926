"""What others say about a call, without the secret that stood among its arguments.

An exception or an error text may quote arguments as they are, as ``repr`` or JSON writes them, or
several times over: a bridge that quotes a call whose text holds them. A secret with quotes,
backslashes or other special characters looks different each time, so it is looked for character
by character, each plain or escaped in any way and to any depth.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final

HIDDEN: Final = "**********"

_LETTERS: Final = {
    "\0": "0",
    "\a": "a",
    "\b": "b",
    "\t": "t",
    "\n": "n",
    "\v": "v",
    "\f": "f",
    "\r": "r",
}
"""Letters that stand for a character after a backslash."""

_SLASHES: Final = r"\\+"


class Redaction:
    """Takes one secret out of texts; without a secret, or with an empty one, out of none."""

    __slots__ = ("_pattern",)

    def __init__(self, secret: str | None) -> None:
        """Prepare for ``secret``."""
        self._pattern = re.compile(_forms_of(secret)) if secret else None

    def __call__(self, text: str) -> str:
        """Return ``text`` with :data:`HIDDEN` for every form of the secret."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def describe(self, error: BaseException) -> str:
        """Return an error's type and the first line of what it says, without the secret."""
        # Hidden before it is cut: the secret may hold the line end at which it would be.
        said = self(str(error)).partition("\n")[0]  # a bridge appends the whole remote traceback
        return f"{type(error).__name__}: {said}" if said else type(error).__name__

    def is_clean(self, error: BaseException) -> bool:
        """Whether neither ``error`` nor any error that led to it says the secret."""
        if self._pattern is None:
            return True
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            link = waiting.pop()
            if link is None or id(link) in seen:
                continue
            seen.add(id(link))
            notes = getattr(link, "__notes__", ())
            if any(map(self._pattern.search, (str(link), repr(link), repr(link.args), *notes))):
                return False
            waiting += (link.__cause__, link.__context__)
            if isinstance(link, BaseExceptionGroup):
                waiting += link.exceptions
        return True


def _forms_of(secret: str) -> str:
    parts = []
    for character, run in groupby(secret):
        length = len(list(run))
        if character == "\\":
            parts.append(rf"\\{{{length},}}")  # every level of quoting only adds to them
        else:
            parts.append(f"(?:{_forms_of_character(character)}){{{length}}}")
    return "".join(parts)


def _forms_of_character(character: str) -> str:
    """Return the ways in which one character may stand in a text, as alternatives."""
    code = ord(character)
    plain = re.escape(character)
    forms = [plain if character.isalnum() else rf"\\*{plain}"]
    if character in _LETTERS:
        forms.append(_SLASHES + _LETTERS[character])
    hexadecimal = [f"u{code:04x}", f"U{code:08x}"] if code < 0x10000 else [f"U{code:08x}"]
    if code < 0x100:
        hexadecimal.append(f"x{code:02x}")
    forms += [f"{_SLASHES}{form[0]}(?i:{form[1:]})" for form in hexadecimal]
    if code >= 0x80:  # as JSON, and as bytes are shown
        units = character.encode("utf-16-be", "surrogatepass")
        if code >= 0x10000:
            pairs = (units[:2].hex(), units[2:].hex())
            forms.append("".join(f"{_SLASHES}u(?i:{pair})" for pair in pairs))
        octets = character.encode("utf-8", "surrogatepass")
        forms.append("".join(f"{_SLASHES}x(?i:{octet:02x})" for octet in octets))
    return "|".join(forms)
