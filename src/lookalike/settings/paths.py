"""What `~` means at the start of a path: said here, for settings, arguments of Python and cells of tables."""

import os
import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from lookalike.errors import LookalikeError

_AnyPath = TypeVar("_AnyPath", bound=str | Path)
_LOCAL_ADDRESS = re.compile(r"(sqlite:///|file:(?:///?)?)(~.*)", re.DOTALL)


class PathError(LookalikeError):
    """A path starts with `~` and leads nowhere."""


def at_home(path: _AnyPath) -> _AnyPath:
    """A path whose leading `~` or `~user` is the home folder that a shell would take; any other path as it is.

    A name that starts with `~` and is no user's stays as it is where there is such a file or folder, so that
    `~$1.jpg` of a word processor can be read; nothing of such a name is ever made.

    Args:
        path: As it was written.

    Raises:
        PathError: No such user, or no home folder is known.
    """
    text = str(path)
    if not text.startswith("~"):
        return path
    place = os.path.expanduser(text)  # noqa: PTH111 - keeps a slash at the end, which means a folder
    if place == text:
        name = text.replace("\\", "/").partition("/")[0]
        if name == "~":
            raise PathError(f"{text}: no home folder is known for ~: set HOME, or write the whole path")
        if not os.path.lexists(name):
            raise PathError(f"{text}: ~ stands for a home folder, and no user is called {name[1:]}: write ./{text}")
    return type(path)(place)


def _as_path(value: object) -> object:
    """A path as text, `~` expanded; what is neither text nor a path is left to the next check."""
    if not isinstance(value, str | bytes | os.PathLike):
        return value
    text = os.fsdecode(value)
    if "\0" in text:
        raise PydanticCustomError("path", "expected a path, found a NUL byte in it: leave it out")
    try:
        return at_home(text)
    except PathError as error:
        reason = str(error).removeprefix(f"{text}: ")
        raise PydanticCustomError("path", "{reason}", {"reason": reason}) from error


PathText = Annotated[str, BeforeValidator(_as_path)]  # every setting that is a path has this type


def address_at_home(address: str) -> str:
    """The address of a tracker's store with its `~` expanded: a path, `sqlite:///<path>` or `file:<path>`.

    Raises:
        PathError: As `at_home`.
    """
    local = _LOCAL_ADDRESS.fullmatch(address)
    if not local:
        return at_home(address)
    scheme = "file://" if local[1].startswith("file:") else local[1]
    return scheme + at_home(local[2])
