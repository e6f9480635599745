"""Pipes, devices and sockets, which have no end to read up to and must not be replaced."""

import stat
from pathlib import Path

from lookalike.errors import LookalikeError


class SpecialFileError(LookalikeError):
    """A pipe, a device or a socket, where a file is expected."""


def is_special(path: Path) -> bool:
    """Whether a pipe, a device or a socket stands there, or a link leads to one; it is no file to read or replace."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def need_no_special(path: Path) -> None:
    """Sees that nothing but a file or a folder is replaced.

    Raises:
        SpecialFileError: A pipe, a device or a socket stands there.
    """
    if is_special(path):
        raise SpecialFileError(f"{path}: expected a file to write, found a pipe or a device: give another place")
