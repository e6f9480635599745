"""A checksum inside the file it belongs to."""

import random
from itertools import combinations
from pathlib import Path

import pytest

from lookalike.seals import BLANK, is_damaged, is_whole, seal


@pytest.mark.parametrize("before", [0, 5, 65_500])
@pytest.mark.parametrize("behind", [0, 7, 3_000_000])
def test_a_sealed_file_is_whole_until_a_bit_is_another(before: int, behind: int, tmp_path: Path) -> None:
    chance, file = random.Random(before + behind), tmp_path / "x"
    if before + len(BLANK) > 65_536 and behind:
        before = 65_536 - len(BLANK)
    content = bytearray(chance.randbytes(before) + BLANK + chance.randbytes(behind))
    seal(content)
    file.write_bytes(content)
    assert is_whole(file) is True
    ends = (0, len(content) - 1, before + len(BLANK) - 1)
    for place in [*ends, *range(before, before + len(BLANK)), *(chance.randrange(len(content)) for _ in range(20))]:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        assert is_whole(file) is False, place
    file.write_bytes(content[: len(content) // 2])
    assert not is_whole(file)


@pytest.mark.parametrize("letters", [1, 2])
def test_a_mark_that_is_damaged_itself_is_noticed(letters: int, tmp_path: Path) -> None:
    content = bytearray(b"a" * 70_000 + BLANK + b"}")
    seal(content)
    for places in combinations(range(70_000, 70_000 + len(BLANK) - 64), letters):
        changed = bytearray(content)
        changed[3] ^= 1
        for place in places:
            changed[place] ^= 0x40
        (tmp_path / "x").write_bytes(changed)
        assert is_whole(tmp_path / "x") is False, places


def test_where_nothing_is_left_of_a_mark_the_content_tells(tmp_path: Path) -> None:
    content = bytearray(b"a" * 200 + BLANK)
    seal(content)
    (tmp_path / "x").write_bytes(content)
    assert not is_damaged(tmp_path / "x", lambda: True)
    (tmp_path / "x").write_bytes(content[:200] + bytes(len(BLANK)))
    assert is_damaged(tmp_path / "x", lambda: True)
    assert not is_damaged(tmp_path / "x", lambda: False), "of an earlier version"


@pytest.mark.parametrize(
    "digest", ["sha256:" + "0a" * 32, "lookalike " + "0a" * 32, "/lookalike-sha256", "lookalike-sha1"]
)
def test_other_digests_are_no_marks(digest: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"path: " + digest.encode() + b" and more, which is no digest at all" * 9)
    assert is_whole(tmp_path / "x") is None


@pytest.mark.parametrize("content", [b"", b"text", b"lookalike", bytes(200_000), BLANK[:20]])
def test_a_file_without_a_seal_is_neither_whole_nor_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert is_whole(tmp_path / "x") is (False if content == BLANK[:20] else None)


def test_a_copy_keeps_its_seal_and_a_memoryview_can_be_sealed(tmp_path: Path) -> None:
    content = bytearray(b"a" * 100_000 + BLANK)
    with memoryview(content) as view:
        seal(view)
    (tmp_path / "x").write_bytes(content)
    (tmp_path / "y").write_bytes((tmp_path / "x").read_bytes())
    assert is_whole(tmp_path / "y") is True
