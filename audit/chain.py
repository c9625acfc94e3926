"""Hash chains: a record cannot be altered, removed or moved without the next one showing it.

A stream's writer numbers its records from 1 and hashes each over the version of the form, the
hash before it, and its own canonical bytes. A stream's first record cites the last known head of
the owner's previous stream, so that a whole stream cannot vanish unnoticed either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from typing import NamedTuple

from audit import canonical
from audit.records import (
    AFTER_META,
    BEFORE_META,
    AuditRecord,
    body_of_parts,
    check_parts,
    parts_of_body,
)
from audit.streams import parse_stream

NO_HASH = bytes(32)
"""What the very first record of an owner has before it."""

_before_meta = attrgetter(*BEFORE_META)
_after_meta = attrgetter(*AFTER_META)
HASHED_PREFIX = b"risk-engine record %d\n" % canonical.VERSION
"""What every hash begins with, before the hash of the record before."""


class ChainHead(NamedTuple):
    """The last record of a stream, as far as known."""

    stream: str
    seq: int
    hash: bytes

    @property
    def citation(self) -> str:
        """How the next stream's first record names it."""
        return f"{self.stream}@{self.seq}"


class SealedRecord(NamedTuple):
    """A record as it travels: numbered, hashed, and its content as opaque bytes."""

    event_id: str
    stream: str
    seq: int
    prev_hash: bytes
    hash: bytes
    body: bytes


def chain_hash(prev_hash: bytes, body: bytes) -> bytes:
    """Hash a record: SHA-256 over the form's version, the hash before it, and its bytes."""
    return sha256(HASHED_PREFIX + prev_hash + body).digest()


class ChainWriter:
    """Numbers and seals the records of one stream. One writer a stream, one life a writer.

    Args:
        stream: the stream's name, as the journal gave it.
        predecessor: last known head of the owner's previous stream, if there was one.
        version: of the software, stamped on every record.
        config_hash: of the configuration in force, stamped on every record.

    Raises:
        ValueError: ``stream`` is not the name of a stream.
    """

    def __init__(
        self,
        stream: str,
        predecessor: ChainHead | None = None,
        *,
        version: str = "",
        config_hash: str = "",
    ) -> None:
        """Begin before the stream's first record."""
        self.stream = stream
        _, self.incarnation = parse_stream(stream)
        self._version = version
        self._config_hash = config_hash
        self._citation = None if predecessor is None else predecessor.citation
        self._seq = 0
        self._hash = NO_HASH if predecessor is None else predecessor.hash

    @property
    def head(self) -> ChainHead:
        """The last record that was sealed; ``seq`` 0 if none was."""
        return ChainHead(self.stream, self._seq, self._hash)

    def seal(self, record: AuditRecord) -> SealedRecord:
        """Give a record its place in the chain.

        Sealing cannot be undone: a sealed record that is not delivered leaves a gap.

        Raises:
            ValueError: a member has a type or value that no column could hold exactly; nothing
                was sealed.
        """
        seq = self._seq + 1
        before = dict(zip(BEFORE_META, _before_meta(record), strict=True))
        after = dict(zip(AFTER_META, _after_meta(record), strict=True))
        before["config_hash"] = self._config_hash
        before["incarnation"] = self.incarnation
        after["predecessor"] = self._citation if seq == 1 else None
        after["seq"] = seq
        after["stream"] = self.stream
        after["version"] = self._version
        before["event_type"] = record.event_type.value
        after["status"] = int(record.status)
        check_parts(before, after)
        body = body_of_parts(before, canonical.encode_anything(record.meta_data), after)
        prev_hash = self._hash
        digest = chain_hash(prev_hash, body)
        self._seq, self._hash = seq, digest
        return SealedRecord(record.event_id, self.stream, seq, prev_hash, digest, body)


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """The first record that does not fit its chain."""

    stream: str
    seq: int
    event_id: str
    """Empty where nobody knows it any more, as that of a record that is missing."""
    reason: str

    def __str__(self) -> str:
        """Name the record and what is wrong with it."""
        event = f" (event {self.event_id})" if self.event_id else ""
        return f"{self.stream}@{self.seq}{event}: {self.reason}"


class ChainVerifier:
    """Checks the records of one stream as they come, in order of ``seq``; holds no record.

    Args:
        stream: the stream's name.
    """

    def __init__(self, stream: str) -> None:
        """Begin before the stream's first record."""
        self._stream = stream
        self._seq = 0
        self._hash: bytes | None = None

    @property
    def head(self) -> ChainHead:
        """The last record that fitted."""
        return ChainHead(self._stream, self._seq, self._hash or NO_HASH)

    def check(
        self, event_id: str, stream: str, seq: int, prev_hash: bytes, digest: bytes, body: bytes
    ) -> ChainProblem | None:
        """Check the next record; say what does not fit, if anything."""
        reason = None
        if stream != self._stream:
            reason = f"belongs to the stream {stream}, not to {self._stream}"
        elif seq != self._seq + 1:
            what = "a record is missing" if seq > self._seq + 1 else "it is out of order"
            reason = f"follows number {self._seq}: {what}"
        elif self._hash is not None and prev_hash != self._hash:
            reason = "does not cite the hash of the record before it"
        elif chain_hash(prev_hash, body) != digest:
            reason = "its content does not have the hash that was recorded: it was altered"
        if reason is not None:
            return ChainProblem(stream, seq, event_id, reason)
        self._seq, self._hash = seq, digest
        return None


def verify_chain(records: Iterable[SealedRecord]) -> ChainProblem | None:
    """Check the records of one stream, in order; return the first problem, if any.

    The content's own number and stream are hashed with it, and compared with those claimed.
    """
    verifier: ChainVerifier | None = None
    for record in records:
        if verifier is None:
            verifier = ChainVerifier(record.stream)
        problem = verifier.check(*record) or _mislabelled(record)
        if problem is not None:
            return problem
    return None


def _mislabelled(record: SealedRecord) -> ChainProblem | None:
    before, _, after = parts_of_body(record.body)
    claimed = (record.event_id, record.stream, record.seq)
    if (before["event_id"], after["stream"], after["seq"]) == claimed:
        return None
    return ChainProblem(
        record.stream, record.seq, record.event_id, "its content names another event or place"
    )
