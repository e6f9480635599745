"""Files that carry their own SHA-256, so that damage is noticed before they are used again.

The digest stands inside the file behind a mark, and covers every byte with its own digits as zeros: content and
checksum are written in one step, are copied together, and cannot come apart when a process is killed. Where the mark
stands is the format's choice: the comment of a zip archive, the metadata of safetensors or Parquet, a value of JSON.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

_MARK, _ZEROS = b"lookalike-sha256:", b"0" * 64
BLANK = _MARK + _ZEROS  # what a format writes into a file that is to be sealed
_HEX = b"0123456789abcdef"
_MOST = 12  # letters of a mark that are enough to know it by
_PIECE = 5  # letters of a mark that must be intact for the rest of it to be compared
_PIECES = re.compile(b"|".join(re.escape(_MARK[start : start + _PIECE]) for start in range(len(_MARK) - _PIECE + 1)))
_ENDS = 1 << 16  # bytes at the end and at the beginning, in which the mark is looked for
_CHUNK = 1 << 20


def seal(content: bytearray | memoryview) -> None:
    """Puts the SHA-256 of a file's whole content where `BLANK` stands in it.

    Args:
        content: With `BLANK` once, among its last or first 64 KiB; changed in place.
    """
    place = _place(bytes(content[:_ENDS]), bytes(content[-_ENDS:]), len(content))
    assert place is not None, "BLANK stands near an end of what is sealed"
    content[place : place + len(_ZEROS)] = hashlib.sha256(content).hexdigest().encode()


def sealed(content: bytes) -> bytes:
    """A copy of a file's whole content, sealed; see `seal`."""
    copy = bytearray(content)
    seal(copy)
    return bytes(copy)


def is_whole(file: Path) -> bool | None:
    """Whether a file is as it was sealed; None for one without a seal: of an earlier version, or of somebody else.

    A mark of which most letters are left is a damaged one. Where nothing is left of it, the format may know that there
    was one: see `is_damaged`.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as handle:
        head = handle.read(_ENDS)
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _ENDS))
        tail = handle.read(_ENDS)
        place = _place(head, tail, size)
        if place is None:
            return False if _was_marked(head) or _was_marked(tail) else None
        handle.seek(0)
        digest, left = hashlib.sha256(), place
        while left and (chunk := handle.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
        stated = handle.read(len(_ZEROS))
        digest.update(_ZEROS)
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return stated == digest.hexdigest().encode()


def is_damaged(file: Path, marked: Callable[[], bool]) -> bool:
    """Whether a file is not as it was sealed.

    Args:
        file: It.
        marked: Asked where there is no mark: whether the content has the entry that only sealed files have.

    Raises:
        OSError: It cannot be read.
    """
    whole = is_whole(file)
    return marked() if whole is None else not whole


def _was_marked(part: bytes) -> bool:
    """Whether most of a mark and of the digits behind it are there."""
    for piece in _PIECES.finditer(part):
        start = piece.start() - _MARK.index(piece[0])
        if start < 0:
            continue
        mark, digits = part[start : start + len(_MARK)], part[start + len(_MARK) : start + len(BLANK)]
        same = sum(letter == right for letter, right in zip(mark, _MARK, strict=False))
        if same >= _MOST and 2 * sum(digit in _HEX for digit in digits) > len(_ZEROS):
            return True
    return False


def _place(head: bytes, tail: bytes, size: int) -> int | None:
    """Where the digits begin; None when there is no mark."""
    for part, start in ((tail, size - len(tail)), (head, 0)):
        if _MARK in part:
            return start + part.rindex(_MARK) + len(_MARK)
    return None
