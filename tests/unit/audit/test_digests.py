from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from audit.chain import ChainHead
from audit.digest_registry import DigestEnd
from audit.digests import (
    DigestFile,
    DigestsChanged,
    DigestsUnreadable,
    own_digests,
    read_digests,
)

HASHES = [bytes([number]) * 32 for number in range(10)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three lines: ann at 1 and bob at 2, ann at 5, and bob's second life."""
    path = tmp_path / "deep" / "digests.jsonl"
    file = DigestFile(path)
    file.load()
    file.append(100, [ChainHead("account:ann:1", 1, HASHES[1]), ChainHead("bob", 2, HASHES[2])])
    file.append(200, [ChainHead("account:ann:1", 5, HASHES[3])])
    file.append(300, [ChainHead("account:bob:2", 1, HASHES[4])])
    return path


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def test_what_was_written_is_read(path: Path) -> None:
    digests = read_digests(path)
    assert (digests.damage, digests.torn) == (None, 0)
    assert digests.times == {1: 100, 2: 200, 3: 300}
    assert {seq: (one.hash, one.line) for seq, one in digests.named["account:ann:1"].items()} == {
        1: (HASHES[1], 1),
        5: (HASHES[3], 2),
    }
    assert set(digests.heads_at(1)) == {"account:ann:1", "bob"}
    assert digests.heads_at(2)["account:ann:1"] == ("account:ann:1", 5, HASHES[3])
    assert digests.heads_at(1)["account:ann:1"].seq == 1


@pytest.mark.parametrize(
    ("moment", "line"), [(99, None), (100, 1), (299, 2), (300, 3), (10**18, 3)]
)
def test_the_last_line_before_a_moment(path: Path, moment: int, line: int | None) -> None:
    assert read_digests(path).line_before(moment) == line


def test_a_line_is_what_is_documented(path: Path) -> None:
    members = json.loads(_lines(path)[1])
    claimed = members.pop("hash")
    content = json.dumps(members, sort_keys=True, separators=(",", ":"))
    assert claimed == sha256(b"risk-engine digest 1\n" + content.encode()).hexdigest()
    assert members["previous"] == json.loads(_lines(path)[0])["hash"]
    assert (members["format"], members["number"], members["time"]) == (1, 2, 200)
    assert members["heads"] == {"account:ann:1": [5, HASHES[3].hex()]}
    whole = json.dumps({**members, "hash": claimed}, sort_keys=True, separators=(",", ":"))
    assert _lines(path)[1] == whole + "\n"


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_last_line_is_told_and_removed_by_the_next_writer(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    digests = read_digests(path)
    assert digests.damage is None
    assert digests.torn == len(_lines(path)[2])
    assert digests.last_number == 2
    file = DigestFile(path)
    assert file.load().torn == digests.torn
    file.append(400, [ChainHead("bob", 9, HASHES[5])])
    mended = read_digests(path)
    assert (mended.damage, mended.torn, mended.last_number) == (None, 0, 3)
    assert mended.named["bob"][9].line == 3


@pytest.mark.parametrize("old", ['"number":2', '"time":200', '[5,"', HASHES[3].hex(), '"format":1'])
def test_an_altered_line_is_named(path: Path, old: str) -> None:
    lines = _lines(path)
    new = lines[1].replace(old, old.replace(old[-2], "8" if old[-2] != "8" else "7"), 1)
    assert new != lines[1]
    path.write_text("".join([lines[0], new, lines[2]]))
    damage = read_digests(path).damage
    assert damage is not None
    assert damage.line == 2
    assert "altered" in str(damage)
    assert "line 2 of the digests" in str(damage)


@pytest.mark.parametrize("what", ["", "[]", "{}", "nonsense", '{"hash":1}', "\xff"])
def test_a_line_that_is_no_digest_is_named(path: Path, what: str) -> None:
    lines = _lines(path)
    path.write_bytes(f"{lines[0]}{what}\n{lines[2]}".encode("latin-1"))
    damage = read_digests(path).damage
    assert damage is not None
    assert (damage.line, "altered, or damaged" in damage.reason) == (2, True)


def test_a_removed_and_a_moved_line_are_named(path: Path) -> None:
    first, second, third = _lines(path)
    for lines, line in (([first, third], 2), ([first, third, second], 2)):
        path.write_text("".join(lines))
        damage = read_digests(path).damage
        assert damage is not None
        assert (damage.line, damage.reason) == (line, "it does not follow on the line before")


def test_lines_missing_at_the_beginning_are_named(path: Path) -> None:
    _, second, third = _lines(path)
    path.write_text(second + third)
    digests = read_digests(path)
    assert (digests.damage, digests.begins_after, digests.last_number) == (None, 1, 3)
    assert digests.trouble is not None
    assert digests.trouble.line == 1
    assert "follows on number 1, and no line up to that one is here" in digests.trouble.reason


def _end(path: Path) -> DigestEnd:
    digests = read_digests(path)
    return DigestEnd(str(path), digests.last_number, digests.last_hash, 1_000_000)


def test_an_end_that_is_there_or_was_gone_on_from_is_no_trouble(path: Path) -> None:
    end = _end(path)
    file = DigestFile(path)
    file.load(end)
    assert file.end == (3, end.hash)
    file.append(400, [ChainHead("bob", 9, HASHES[5])])  # and a crash before the journal knew
    digests = own_digests(path, end)
    assert digests is not None
    assert (digests.trouble, digests.last_number) == (None, 4)


@pytest.mark.parametrize(
    ("kept", "line", "reason"),
    [
        (2, 3, "the lines behind number 2 are missing, up to number 3 of 1970-01-01T00:00:01Z"),
        (0, 1, "the lines from number 1 are missing, up to number 3"),
        (None, 1, "the lines from number 1 are missing, up to number 3"),
    ],
)
def test_an_end_that_is_cut_off_is_named(
    path: Path, kept: int | None, line: int, reason: str
) -> None:
    end = _end(path)
    lines = _lines(path)
    path.unlink()
    if kept is not None:
        path.write_text("".join(lines[:kept]))
    digests = own_digests(path, end)
    assert digests is not None
    assert digests.trouble is not None
    assert digests.trouble.line == line
    assert reason in digests.trouble.reason
    assert str(path) in digests.trouble.reason


def test_a_file_made_anew_with_as_many_lines_is_told(path: Path) -> None:
    end = _end(path)
    path.unlink()
    file = DigestFile(path)
    file.load()
    for at in (100, 200, 300):
        file.append(at, [ChainHead("bob", at, HASHES[6])])
    digests = own_digests(path, end)
    assert digests is not None
    assert "the file was made anew" in str(digests.trouble)


def test_no_file_and_none_known_is_a_first_start(tmp_path: Path) -> None:
    assert own_digests(tmp_path / "none.jsonl", None) is None


def test_a_file_begun_anew_follows_on_the_one_before(path: Path) -> None:
    end = _end(path)
    before = path.rename(path.with_name("archived.jsonl"))
    file = DigestFile(path)
    file.load(end)
    file.append(400, [ChainHead("bob", 9, HASHES[5])])
    assert file.end is not None
    assert file.end[0] == 4
    assert read_digests(path).begins_after == 3
    both = read_digests(before, path)
    assert (both.trouble, both.last_number, both.begins_after) == (None, 4, 0)
    assert set(both.times) == {1, 2, 3, 4}
    wrong = read_digests(path, before).trouble
    assert wrong is not None
    assert wrong.line == 2


def test_what_other_lines_say_counts_although_one_is_damaged(path: Path) -> None:
    lines = _lines(path)
    path.write_text("".join([lines[0], "damaged\n", lines[2]]))
    digests = read_digests(path)
    assert set(digests.named) == {"account:ann:1", "bob", "account:bob:2"}
    assert set(digests.times) == {1, 3}


def test_two_lines_that_contradict_each_other_are_named(path: Path) -> None:
    file = DigestFile(path)
    file.load()
    file.append(400, [ChainHead("bob", 2, HASHES[9])])
    damage = read_digests(path).damage
    assert damage is not None
    assert (damage.line, damage.reason) == (4, "names bob@2 with another hash than line 1")


def test_a_file_of_a_newer_version_is_not_guessed_at(path: Path) -> None:
    members = json.loads(_lines(path)[0])
    del members["hash"]
    members["format"] = 2
    content = json.dumps(members, sort_keys=True, separators=(",", ":"))
    digest = sha256(b"risk-engine digest 1\n" + content.encode()).hexdigest()
    whole = json.dumps({**members, "hash": digest}, sort_keys=True, separators=(",", ":"))
    path.write_text(whole + "\n")
    damage = read_digests(path).damage
    assert damage is not None
    assert "format=2 is not known" in damage.reason


def test_a_file_that_someone_else_changed_is_not_written_to(path: Path) -> None:
    file = DigestFile(path)
    with pytest.raises(DigestsChanged):
        file.append(400, [])  # not loaded
    file.load()
    path.write_text(_lines(path)[0])
    with pytest.raises(DigestsChanged, match="changed by someone else"):
        file.append(400, [])
    assert len(_lines(path)) == 1
    file.load()
    file.append(400, [ChainHead("bob", 3, HASHES[3])])
    assert read_digests(path).last_number == 2


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DigestsUnreadable, match=r"digests='.*none.jsonl' cannot be read"):
        read_digests(tmp_path / "none.jsonl")
