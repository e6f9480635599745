"""What one image file may cost: bytes, passes over its pixels, memory of all reading threads together.

Decoders are asked only after these have passed. Nothing here looks at pixels.
"""

import ctypes
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition

MAX_BYTES = 1 << 29
_LARGE_FILE = 1 << 26  # bytes: read by one thread at a time
_BYTES_PER_PIXEL = 8  # decoded, and once more as RGB
_MUCH = 1 << 28  # bytes: after so much, memory is given back to the system
_MEMORY = 6 << 27  # bytes of pictures of all threads: one of the largest size, or several usual photographs
_FREE_SCANS = 16
_PIXELS_IN_SCANS = 4 * 89_478_485
_HEADER = 1 << 16
_COMMENTS = 1000
_PPM = re.compile(rb"P[1-6](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}")
_PLAIN_PPM = (b"P1", b"P2", b"P3")
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class BeyondLimitError(Exception):
    """A file costs more than any photograph; the text says what was found and expected, and what to do."""


def read_bytes(file: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: It cannot be read.
        BeyondLimitError: It is no regular file (a pipe, a device), or larger than any image.
    """
    try:
        about = file.stat()
    except ValueError as error:  # a NUL in its name
        raise FileNotFoundError(2, str(error), str(file)) from error
    _need_regular(about)
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as opened:
        _need_regular(os.fstat(opened.fileno()))  # it may be another one by now
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BeyondLimitError(_too_many(len(content)))
    return content


def _need_regular(about: os.stat_result) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(21, os.strerror(21))
    if not stat.S_ISREG(about.st_mode):
        raise BeyondLimitError("no regular file (a pipe or a device), expected an image: remove it")
    if about.st_size > MAX_BYTES:
        raise BeyondLimitError(_too_many(about.st_size))


def _too_many(count: int) -> str:
    return f"{count} bytes, expected at most {MAX_BYTES}: no photograph is that large, remove it"


def check_structure(data: bytes) -> None:
    """Refuses a file whose parts take a decoder far longer than its pixels do.

    Args:
        data: The file, of any kind.

    Raises:
        BeyondLimitError: Comments of a PPM, or the directory of a TIFF.
    """
    if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"):
        comments = data.count(b"#") if data.startswith(_PLAIN_PPM) else 0
        if comments > _COMMENTS or (len(data) > _HEADER and not _PPM.match(data[:_HEADER])):
            raise BeyondLimitError("comments instead of pixels: save it as PNG")
    if data[:4] in (b"II*\0", b"MM\0*") and _tiff_values(data) > 2 * len(data):
        raise BeyondLimitError("its directory promises more than the file holds: save it as PNG")


def _tiff_values(data: bytes) -> int:
    """Bytes of all values of a TIFF's first directory, as it says itself."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (place,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, place)
        entries = struct.iter_unpack(f"{order}HHL4x", data[place + 2 : place + 2 + 12 * count])
        return sum(_TIFF_SIZES.get(kind, 0) * number for _, kind, number in entries)
    except struct.error:  # cut off: the decoder says so
        return 0


def check_scans(data: bytes, pixels: int) -> None:
    """Refuses a JPEG that paints its pixels over and over again.

    Args:
        data: The file.
        pixels: Of the picture.

    Raises:
        BeyondLimitError: Hundreds of scans.
    """
    scans = data.count(b"\xff\xda")
    if scans > _FREE_SCANS and scans * pixels > _PIXELS_IN_SCANS:
        raise BeyondLimitError(f"{scans} scans of {pixels} pixels, expected about ten: save it as PNG")


class _Budget:
    """Memory that threads share; who would exceed it waits, who needs more than all of it comes alone."""

    def __init__(self, total: int) -> None:
        self._total, self._used, self._changed = total, 0, Condition()

    def take(self, amount: int) -> int:
        """Waits until there is room; returns what is to be given back."""
        amount = min(amount, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._used + amount <= self._total)
            self._used += amount
        return amount

    def give(self, amount: int) -> None:
        """Gives memory back."""
        with self._changed:
            self._used -= amount
            self._changed.notify_all()


_budget = _Budget(_MEMORY)


class Claim:
    """What one image takes of the memory of all threads: claimed once, before it is decoded."""

    def __init__(self) -> None:
        self.taken = 0

    def pixels(self, count: int) -> None:
        """Waits until there is room for decoding so many."""
        if not self.taken:
            self.taken = _budget.take(count * _BYTES_PER_PIXEL)


@contextmanager
def claim(size: int) -> Iterator[Claim]:
    """What is claimed inside is given back behind it.

    Args:
        size: Bytes of the file; a large one is read and decoded alone.
    """
    held = Claim()
    if size > _LARGE_FILE:
        held.taken = _budget.take(_MEMORY)
    try:
        yield held
    finally:
        if held.taken >= _MUCH:
            _trim()
        _budget.give(held.taken)


def _trim() -> None:
    """Gives freed memory back to the system: glibc keeps Pillow's blocks of 16 MiB for the thread that had them."""
    with suppress(AttributeError, OSError, TypeError):  # other systems have no such call
        ctypes.CDLL(None).malloc_trim(0)


def size_of(source: Path | bytes) -> int:
    """Bytes of a file, 0 where that cannot be told."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except (OSError, ValueError):
        return 0
