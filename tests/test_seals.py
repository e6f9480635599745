"""A checksum inside the file it belongs to."""

import random
from pathlib import Path

import pytest

from lookalike.seals import BLANK, is_whole, seal


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
    for place in [0, len(content) - 1, before + len(BLANK) - 1, *(chance.randrange(len(content)) for _ in range(20))]:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        in_mark = before <= place < before + len(BLANK) - 64
        assert is_whole(file) is (None if in_mark else False), place
    file.write_bytes(content[: len(content) // 2])
    assert not is_whole(file)


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
