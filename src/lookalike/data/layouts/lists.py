"""Text files that list images, one a line, and what they and the folders do not have in common."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lookalike.data.image_files import PassedOver, entries_of, has_folder, is_image_name
from lookalike.data.table_file import decode, read_text_file
from lookalike.data.tables import ManifestError
from lookalike.files import readable

_SHOWN = 3
_LARGEST_JSON = 1 << 26  # bytes of a split; that of CUHK03, with every path of two tests, has less than 10 million


def names_by_number(file: Path) -> dict[str, str]:
    """The first word of every line -> the rest of it, as text that a table holds; lines of one word are left out.

    Args:
        file: See `lines_of`.
    """
    cells = [line.split(maxsplit=1) for _, line in lines_of(file)]
    return {readable(pair[0]): readable(pair[1]) for pair in cells if len(pair) == 2}


def lines_of(file: Path) -> list[tuple[int, str]]:
    """The lines of a list with their numbers from 1 on, blank ones and blanks at either end left out.

    Args:
        file: Of UTF-8, or of UTF-16 as Windows may write it; other bytes are kept as they are (surrogates).

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        text = decode(read_text_file(file), "surrogateescape")[0]
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}: expected a list of images; restore it") from error
    except ValueError as error:
        raise ManifestError(f"{file}: {error}: expected a list of images; restore it") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def json_list(file: Path) -> list[Any]:
    """A list in JSON, such as the splits of a data set.

    Args:
        file: Text as that of `lines_of`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, nested too deeply, or no list in JSON.
    """
    if (size := file.stat().st_size) > _LARGEST_JSON:
        raise ValueError(f"{size} bytes, expected at most {_LARGEST_JSON}")
    try:
        made = json.loads(decode(read_text_file(file))[0])
    except RecursionError as error:
        raise ValueError("lists in lists, nested too deeply") from error
    if not isinstance(made, list):
        raise ValueError(f"expected a list, found {type(made).__name__}")
    return made


def names_in(root: Path, folder: str) -> set[str]:
    """The names of the images that stand in a folder itself; none where there is no such folder.

    Args:
        root: The data set.
        folder: In it.
    """
    if not has_folder(root, folder):
        return set()
    entries = entries_of(root / folder, PassedOver())
    return {path.name for path, is_folder in entries if not is_folder and is_image_name(path.name)}


def compared(file: Path, folder: str, there: set[str]) -> tuple[list[str], list[str]]:
    """What a list of names and a folder do not have in common.

    Args:
        file: The list; a name a line.
        folder: The folder that it lists, as it is called.
        there: The images in it.

    Returns:
        Notes (images that it does not list) and problems (images that are not there).
    """
    listed = [line for _, line in lines_of(file)]
    problems = [
        f"{folder}/{readable(name)}: not there, but {file.name} lists it: restore the image or correct the list"
        for name in dict.fromkeys(listed)
        if name not in there
    ]
    more = sorted(there - {*listed})
    notes = [f"{len(more)} image(s) of {folder}/ are not in {file.name}, but read: {few(more)}"] if more else []
    return notes, problems


def unlisted(root: Path, folders: Iterable[str], listed: set[str]) -> list[str]:
    """A note on images that stand in folders of a data set, or in folders of these, and in none of its lists.

    Args:
        root: The data set.
        folders: In it.
        listed: Paths from `root` on.
    """
    names = []
    for folder in folders:
        for path, is_folder in entries_of(root / folder, PassedOver()) if has_folder(root, folder) else []:
            inner = [path] if not is_folder else [file for file, deeper in entries_of(path, PassedOver()) if not deeper]
            names += [file.relative_to(root).as_posix() for file in inner if is_image_name(file.name)]
    more = [name for name in names if name not in listed]
    return [f"{len(more)} image(s) in no list passed over: {few(more)}"] if more else []


def few(names: list[str]) -> str:
    """The first names, and whether there are more."""
    return ", ".join(map(readable, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
