"""The zip of Market-1501, unpacked whole or not at all."""

import errno
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.console import progress, say
from lookalike.data.image_files import is_image_name
from lookalike.data.layouts.market import FOLDERS, QUERIES, REFERENCES, TRAIN, market_root
from lookalike.errors import LookalikeError
from lookalike.files import atomic_folder
from lookalike.special_files import is_special

_LARGEST_RATIO = 20  # of an archive of images: JPEG hardly shrinks, a drawing as PNG a few times
_LONGEST_NAME = 255  # bytes; no usual file system holds more
_MEMBER = re.compile(rf"(?:.*/)?({TRAIN}|{REFERENCES}|{QUERIES})/([^/]+)", re.DOTALL)
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, UnicodeDecodeError)


class MarketError(LookalikeError):
    """An archive of Market-1501 cannot be unpacked; nothing of it was written."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks the images of Market-1501's three folders, whatever stands above them in the archive.

    A folder that already holds these images is used as it is.

    Args:
        archive: A zip file.
        folder: New or empty; it appears when everything is unpacked, or not at all.

    Returns:
        `folder`.

    Raises:
        MarketError: The archive is missing, damaged or not this data set, or `folder` holds something else.
        DiskFullError: There is no room.
    """
    if root := market_root(folder):
        with _opened(archive) as source:
            _same_as(source, archive, root, folder)
        say(f"{folder}: already holds the images of {archive}, which is not unpacked again")
        return folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise MarketError(
            f"{folder}: expected a new or an empty folder to unpack {archive} into, found other files; give a new one "
            "with data.root="
        )
    with _opened(archive) as source:
        members = _members(source, archive)
        size = sum(member.file_size for member in members.values())
        if size > _LARGEST_RATIO * archive.stat().st_size:
            raise MarketError(
                f"{archive}: {size >> 20} MiB would come out of {archive.stat().st_size >> 20} MiB, but images do "
                "not shrink so: this is not the data set; take it from its authors' page"
            )
        with atomic_folder(folder.resolve(), first_wins=True) as target, progress("unpacking", len(members)) as advance:
            for place, member in members.items():
                _extract(source, member, place, target, archive)
                advance(1)
        left_out = sum(not member.is_dir() for member in source.infolist()) - len(members)
    say(f"{archive}: {len(members)} images unpacked into {folder}, {left_out} other files left out")
    return folder


def _same_as(source: zipfile.ZipFile, archive: Path, root: Path, folder: Path) -> None:
    """Refuses a folder that holds other images than the archive, by names and sizes."""
    members = {place: member.file_size for place, member in _members(source, archive).items()}
    there = {
        f"{name}/{file.name}": file.stat().st_size
        for name in FOLDERS
        for file in ((root / name).iterdir() if (root / name).is_dir() else [])
        if file.is_file() and is_image_name(file.name) and not file.name.startswith(".")
    }
    if members != there:
        different = sorted(place for place in members.keys() | there.keys() if members.get(place) != there.get(place))
        raise MarketError(
            f"{folder}: holds {len(there)} images, {archive} holds {len(members)}, and {len(different)} differ (first: "
            f"{different[0]}): give a new folder with data.root=, or leave data.archive out to use what is there"
        )


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    if is_special(archive):
        raise MarketError(f"{archive}: a pipe or a device: expected the zip of Market-1501; give its place")
    try:
        with archive.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise MarketError(
            f"{archive}: {error.strerror}: expected the zip of Market-1501; give its place with data.archive="
        ) from error
    if start != b"PK":
        raise MarketError(
            f"{archive}: not a zip file: expected the zip of Market-1501; unpack others yourself and give data.root="
        )
    try:
        source = zipfile.ZipFile(archive)
    except _DAMAGE as error:
        raise MarketError(f"{archive}: damaged or cut off ({error}): copy or download it again") from error
    with source:
        yield source


def _members(source: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """What to unpack, by its path below the new folder; anything else in the archive is left out."""
    members: dict[str, zipfile.ZipInfo] = {}
    taken: dict[str, str] = {}
    for member in source.infolist():
        name = _MEMBER.fullmatch(member.filename)
        if not name or not is_image_name(name[2]):
            continue
        if len(name[2].encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
            raise MarketError(
                f"{archive}: {name[2][:40]}...: a name of {len(name[2])} letters, expected at most {_LONGEST_NAME} "
                "bytes: this is not the data set; take it from its authors' page, or unpack it yourself and give "
                "data.root="
            )
        place = f"{name[1]}/{name[2]}"
        other = taken.setdefault(place.casefold(), member.filename)  # Windows and macOS do not tell cases apart
        if place in members or other != member.filename:
            raise MarketError(
                f"{archive}: {other} and {member.filename} would both become {place}: expected one data set; nothing "
                "was unpacked, unpack it yourself and give data.root="
            )
        members[place] = member
    if not any(place.startswith((TRAIN, REFERENCES)) for place in members):
        tops = ", ".join(sorted({name.split("/")[0] for name in source.namelist()})[:6]) or "nothing"
        raise MarketError(
            f"{archive}: expected images in {TRAIN}/ or {REFERENCES}/, found {tops}; give the zip of "
            "Market-1501 with data.archive="
        )
    return members


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, target: Path, archive: Path) -> None:
    """Writes one member as `place` below `target`; zipfile compares its checksum.

    The name it has in the archive plays no part: zipfile makes a plain file below `target`, never a link, and
    takes drives out of the name on Windows.
    """
    name, member.filename = member.filename, place
    try:
        source.extract(member, target)
    except (*_DAMAGE, OSError) as error:
        # A damaged table of contents makes zipfile seek below 0 (EINVAL), damaged bz2 data has no number at all.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EILSEQ):
            raise
        raise MarketError(
            f"{archive}: {name} cannot be unpacked ({error}): damaged or locked; copy or download the archive again"
        ) from error
