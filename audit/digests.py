"""The digest file: hashes of the trail, kept outside the database.

Whoever may write the database could alter a record and make all the hashes behind it anew; the
chains alone would not show it. A digest file that he may not write shows it: it names, from time
to time, the last record of each stream with its hash. It is a text file of one line a digest,
each a JSON object in canonical form (:mod:`audit.canonical`), only ever appended to:

========== ======================================================================================
``format``   1
``number``   of the line, counted from 1; the first of a file that follows on another goes on
``time``     when it was written, µs UTC
``heads``    of the streams that went on since the line before: ``{stream: [seq, hash]}``, the
             hash of that record in hexadecimal. A file's first line names all streams there are.
``previous`` the ``hash`` of the line before; 64 zeros in the very first line
``hash``     SHA-256, in hexadecimal, over ``risk-engine digest 1``, a line feed, and the canonical
             form of the five members above
========== ======================================================================================

A line is on disk (fsync) before the next is written. What stands behind the last line feed was
cut short by a crash; it is no digest, and the next writer removes it and says so.

The lines chain to each other, so a line that is altered, removed or moved shows. That the last
lines are cut off, or the file is emptied or gone, shows in the journal, which notes the last line
(:mod:`audit.digest_registry`). A file that is begun anew goes on where the one before ended, as the
journal knows it: its first line has the next number and names the hash before, so that several
files, in order, are one chain.

Who may write the database, the journal *and* this file can make all three anew. Against that only
a copy helps that he cannot reach: keep the file on another machine's disk, or copy it away from
time to time, and verify against the copy. A line of any age guards all records up to those that it
names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from audit import canonical
from audit.chain import ChainHead
from audit.digest_registry import DigestEnd
from audit.errors import AuditError

FORMAT = 1
_PREFIX = b"risk-engine digest %d\n" % FORMAT
_NO_LINE = "0" * 64


class DigestsUnreadable(AuditError):
    """The digest file cannot be read."""


class DigestsChanged(AuditError):
    """The digest file is not as its writer left it."""


@dataclass(frozen=True, slots=True)
class DigestDamage:
    """The first line of a digest file that does not fit."""

    line: int
    reason: str
    is_earlier: bool = False
    """Whether no line here is at fault, but an earlier file is needed besides."""

    def __str__(self) -> str:
        """Name the line and what is wrong with it."""
        return f"line {self.line} of the digests: {self.reason}"


@dataclass(frozen=True, slots=True)
class Named:
    """A record that a digest names."""

    hash: bytes
    line: int


@dataclass(slots=True)
class Digests:
    """What a digest file says, as far as its lines are whole."""

    named: dict[str, dict[int, Named]] = field(default_factory=dict)
    """Of each stream the records that are named, by number, in the order of the lines."""
    times: dict[int, int] = field(default_factory=dict)
    """When each whole line was written, µs UTC."""
    damage: DigestDamage | None = None
    torn: int = 0
    """Bytes behind the last line feed: a line that was cut short, or is just being written."""
    size: int = 0
    """Bytes up to the last line feed."""
    last_number: int = 0
    last_hash: str = _NO_LINE
    begins_after: int = 0
    """Number of the line that the first one follows on; it is in an earlier file, if not 0."""
    numbered: dict[int, str] = field(default_factory=dict)
    """The hash of each whole line, by the line's own number."""
    lacking: DigestEnd | None = None
    """The end of the file as the journal knows it, if the file does not have that line."""

    @property
    def trouble(self) -> DigestDamage | None:
        """What does not fit, or is missing, if anything."""
        if self.damage is not None:
            return self.damage
        if self.lacking is not None:
            return DigestDamage(len(self.times) + 1, _lost(self.lacking, self.last_number))
        if self.begins_after:
            return DigestDamage(
                1,
                f"it follows on number {self.begins_after}, and no line up to that one is here: "
                "the file before was moved away, or removed; name it first, and this one after it",
                is_earlier=True,
            )
        return None

    def hold_against(self, end: DigestEnd | None) -> None:
        """Note whether the line is here that the journal knows as the file's last one."""
        if end is not None and self.numbered.get(end.number) != end.hash:
            self.lacking = end

    def line_before(self, moment: int) -> int | None:
        """Find the last line written at or before a moment (µs UTC); ``None`` if there is none."""
        return max((line for line, at in self.times.items() if at <= moment), default=None)

    def heads_at(self, line: int) -> dict[str, ChainHead]:
        """Say how far each stream went, as known from all lines up to one."""
        heads = {}
        for stream, named in self.named.items():
            known = [seq for seq, one in named.items() if one.line <= line]
            if known:
                heads[stream] = ChainHead(stream, max(known), named[max(known)].hash)
        return heads


def read_digests(*paths: Path) -> Digests:
    """Read a digest file, or several that follow on each other; nothing in them is changed.

    Args:
        paths: in the order in which they were written. Lines are counted through.

    Raises:
        DigestsUnreadable: there is none, or it cannot be read.
    """
    digests = Digests()
    number = 0
    for path in paths:
        try:
            with path.open("rb") as file:
                for line in file:
                    number += 1
                    if not line.endswith(b"\n"):
                        digests.torn = len(line)
                        break
                    digests.size += len(line)
                    reason = _take(digests, number, line[:-1])
                    if reason and digests.damage is None:
                        digests.damage = DigestDamage(number, reason)
        except OSError as error:
            raise DigestsUnreadable(
                f"digests={str(path)!r} cannot be read ({error.strerror}): name the file that the "
                "engine writes (digests_path in its configuration), or a copy of it"
            ) from error
    return digests


def own_digests(path: Path, end: DigestEnd | None) -> Digests | None:
    """Read the file that an engine writes, and hold its end against what the journal knows.

    Args:
        path: the file; it need not be there.
        end: read from the journal *before* this is called.

    Returns:
        ``None`` if there is no file, and none is known to have been.

    Raises:
        DigestsUnreadable: it cannot be read.
    """
    if not path.exists() and end is None:
        return None
    digests = read_digests(path) if path.exists() else Digests()
    digests.hold_against(end)
    return digests


def _lost(end: DigestEnd, last: int) -> str:
    """Say what a file lacks that ends with another line than the journal knows."""
    if last >= end.number:
        return f"{end} has another hash here than the journal noted: the file was made anew"
    first = "the lines from number 1" if last == 0 else f"the lines behind number {last}"
    return (
        f"{first} are missing, up to {end}, as the journal noted: the file was cut off, emptied or "
        "removed; verify the trail against a copy of it"
    )


def _take(digests: Digests, number: int, line: bytes) -> str:
    """Take one line in; say what is wrong with it, if anything."""
    try:
        members = canonical.decode(line.decode("ascii"))
        claimed = members.pop("hash")
        content = canonical.encode(members)
        sound = sha256(_PREFIX + content.encode()).hexdigest() == claimed
        if not sound or _line(content, claimed) != line + b"\n":
            return "it was altered, or damaged"
        if members["format"] != FORMAT:
            return f"format={members['format']!r} is not known to this version: upgrade it"
        heads = [ChainHead(name, seq, bytes.fromhex(h)) for name, (seq, h) in _heads(members)]
        claimed_number, previous, at = members["number"], members["previous"], members["time"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return "it is not a digest: it was altered, or damaged"
    if not digests.numbered and not digests.damage and claimed_number > 1:
        digests.begins_after, digests.last_hash = claimed_number - 1, previous
        digests.last_number = digests.begins_after
    # What follows a damaged line is judged by itself, so that only the first is named.
    follows = previous == digests.last_hash and claimed_number == digests.last_number + 1
    reason = "" if follows or digests.damage else "it does not follow on the line before"
    digests.last_hash, digests.last_number = claimed, claimed_number
    digests.numbered[claimed_number] = claimed
    digests.times[number] = at
    for head in heads:
        known = digests.named.setdefault(head.stream, {})
        earlier = known.setdefault(head.seq, Named(head.hash, number))
        if earlier.hash != head.hash and not reason:
            reason = f"names {head.citation} with another hash than line {earlier.line}"
    return reason


def _heads(
    members: Mapping[str, Mapping[str, tuple[int, str]]],
) -> Iterable[tuple[str, tuple[int, str]]]:
    return members["heads"].items()


def _line(content: str, digest: str) -> bytes:
    # "format" < "hash" < "heads": the hash is the second member of the whole line.
    first, rest = content.split(",", 1)
    return f'{first},"hash":"{digest}",{rest}\n'.encode("ascii")


class DigestFile:
    """A digest file, opened for each line anew, so that it may be moved away at any time.

    Args:
        path: the file; its folder is made if missing.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read or written yet."""
        self.path = path
        self._number = 0
        self._hash = _NO_LINE
        self._size: int | None = None

    @property
    def end(self) -> tuple[int, str] | None:
        """Number and hash of the last line; ``None`` if there is none."""
        return (self._number, self._hash) if self._number else None

    def load(self, end: DigestEnd | None = None) -> Digests:
        """Read the file and go on behind its last whole line; a line cut short is removed.

        Args:
            end: the last line as the journal knows it. If the file does not have it, the next
                line follows on that one all the same.

        Raises:
            DigestsUnreadable: it cannot be read.
            OSError: it cannot be mended.
        """
        self._size = None
        digests = read_digests(self.path) if self.path.exists() else Digests()
        if digests.torn:
            os.truncate(self.path, digests.size)
        digests.hold_against(end)
        self._number, self._hash = digests.last_number, digests.last_hash
        if digests.lacking is not None:
            self._number, self._hash = digests.lacking.number, digests.lacking.hash
        self._size = digests.size
        return digests

    def append(self, at: int, heads: Iterable[ChainHead]) -> None:
        """Write a line, and wait until it is on disk.

        Args:
            at: µs UTC.
            heads: of the streams that went on since the last line.

        Raises:
            DigestsChanged: the file is not as it was left: :meth:`load` it, and look what is in it.
            OSError: the line is not on disk.
        """
        members = {
            "format": FORMAT,
            "heads": {head.stream: [head.seq, head.hash.hex()] for head in heads},
            "number": self._number + 1,
            "previous": self._hash,
            "time": at,
        }
        content = canonical.encode(members)
        digest = sha256(_PREFIX + content.encode()).hexdigest()
        line = _line(content, digest)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            raise DigestsChanged(
                f"digests={str(self.path)!r} has {size} bytes and not {self._size}, as this "
                "engine left it: it was changed by someone else"
            )
        self._size = None  # whatever happens now: unless the line is whole, load it again
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if size == 0:
            _sync_folder(self.path.parent)
        self._number, self._hash, self._size = self._number + 1, digest, size + len(line)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable, where the system lets a folder be synchronised."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
