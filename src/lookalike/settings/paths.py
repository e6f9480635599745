"""What is a path, and what `~` means at its start: said here, for settings, arguments of Python and cells of tables."""

import os
import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from lookalike.errors import LookalikeError, did_you_mean
from lookalike.storage import StorageError, address_of, is_address

_AnyPath = TypeVar("_AnyPath", bound=str | Path)
_LOCAL_ADDRESS = re.compile(r"(sqlite:///|file:(?:///?)?)(~.*)", re.DOTALL)
# Python's own paths keep one slash of two, so known schemes are recognised by one.
_ADDRESS = re.compile(
    r"(?:(https?|ftps?|sftp|s3a?|gs|hdfs|abfss?|hf|file):/+|([a-z][a-z0-9+.-]+)://)(.*)", re.DOTALL | re.IGNORECASE
)
_SWITCH = TypeAdapter(bool)
_LOGIN = re.compile(r"(?<=://)(?:[^/@?]*:\S*|[^/]*)@")  # a password may hold / and @
_SECRET = re.compile(r"(?<=[?&])(password|token)=[^&\s]*", re.IGNORECASE)
_POSTGRES = re.compile(r"postgres(ql)?:/", re.IGNORECASE)
_MILVUS = re.compile(r"milvus:/", re.IGNORECASE)
_EMPTY = "expected a path, found an empty text, as a variable of the shell that is not set: give one"


class PathError(LookalikeError):
    """A text is no path, or starts with `~` and leads nowhere."""


def at_home(path: _AnyPath) -> _AnyPath:
    """A path whose leading `~` or `~user` is the home folder that a shell would take; any other path as it is.

    A name that starts with `~` and is no user's stays as it is where there is such a file or folder, so that
    `~$1.jpg` of a word processor can be read; nothing of such a name is ever made.

    Args:
        path: As it was written.

    Raises:
        PathError: No such user, or no home folder is known; or it is an address such as `https://` or `s3://`.
    """
    text = str(path)
    if (advice := address_advice(text)) and not os.path.lexists(text):
        raise PathError(advice)
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


def address_advice(text: str) -> str:
    """What to do instead of giving an address such as `https://` or `s3://`, in a line; "" for any other text."""
    address = _ADDRESS.fullmatch(text)
    if address is None:
        return ""
    scheme, place = (address[1] or address[2]).lower(), without_login(f"://{address[3]}")[3:]
    hint = did_you_mean(scheme, ["postgresql", "milvus"]) if "gallery=" in address[3] else ""
    advice = f"write the path alone, /{place.lstrip('/')}" if scheme == "file" else "download it and give the path"
    return f"{scheme}://{place}: an address, and addresses are not fetched: {advice}{hint}"


def without_login(text: str) -> str:
    """An address without user, password and token, any other text as it is."""
    return _SECRET.sub(r"\1=...", _LOGIN.sub("", text))


def path_of(path: str | Path, what: str) -> Path:
    """A path that a program gave, by the rules of settings.

    Args:
        path: As it was given.
        what: What takes it, for the error.

    Raises:
        PathError: It is empty, or as `at_home`.
    """
    return Path(text_of_path(str(path), what))


def text_of_path(text: str, what: str) -> str:
    """As `path_of`, as text: a slash at its end stays.

    Args:
        text: As it was given.
        what: What takes it, for the error.

    Raises:
        PathError: As `path_of`.
    """
    if not text.strip():
        raise PathError(f"{what}: {_EMPTY}")
    return at_home(text)


def _as_path(value: object) -> object:
    """A path as text, `~` expanded; what is neither text nor a path is left to the next check."""
    if not isinstance(value, str | bytes | os.PathLike):
        return value
    text = os.fsdecode(value)
    if not text.strip():
        raise PydanticCustomError("path", _EMPTY)
    if "\0" in text:
        raise PydanticCustomError("path", "expected a path, found a NUL byte in it: leave it out")
    try:
        return at_home(text)
    except PathError as error:
        reason = str(error).removeprefix(f"{text}: ").removeprefix(f"{without_login(text)}: ")
        raise PydanticCustomError("path", "{reason}", {"reason": reason}) from error


def is_postgres(place: object) -> bool:
    """Whether a place is meant as an address of a PostgreSQL server, well written or not."""
    return _POSTGRES.match(str(place)) is not None


def is_milvus(place: object) -> bool:
    """Whether a place is meant as an address of Milvus, well written or not."""
    return _MILVUS.match(str(place)) is not None


def is_server(place: object) -> bool:
    """Whether a place of a gallery is meant as an address of a server, and not as a folder."""
    return is_postgres(place) or is_milvus(place)


def _as_paths(value: object) -> object:
    """A path, or several."""
    if not isinstance(value, list | tuple):
        return _as_path(value)
    if not value:
        raise PydanticCustomError("path", "expected a path, found an empty list: give one")
    return [_as_path(part) for part in value]


def _as_place(value: object) -> object:
    """The address of a server as it is, as whoever opens it says what is wrong with it without its password."""
    return value if isinstance(value, str) and is_server(value) else _as_path(value)


def _as_stored(value: object) -> object:
    """The address of an object store in its usual form, anything else as a path."""
    if not isinstance(value, str) or not is_address(value):
        return _as_path(value)
    try:
        return address_of(value)
    except StorageError as error:
        raise PydanticCustomError("whole_line", "{text}", {"text": str(error)}) from error


def _as_switch_or_path(value: object) -> object:
    """What is written for true or false as that, else a path."""
    try:
        return _SWITCH.validate_python(value)
    except ValidationError:
        return _as_path(value)


PathText = Annotated[str, BeforeValidator(_as_path)]  # every setting that is a path has this type
PathTexts = Annotated[str | list[str], BeforeValidator(_as_paths)]  # one or several
PlaceText = Annotated[str, BeforeValidator(_as_place)]  # and every one that is a gallery: a folder or an address
StoredText = Annotated[str, BeforeValidator(_as_stored)]  # and every one that may be in an object store: s3://...
SwitchOrPath = Annotated[bool | str, BeforeValidator(_as_switch_or_path)]


def address_at_home(address: str, what: str = "uri") -> str:
    """The address of a tracker's store with its `~` expanded: a path, `sqlite:///<path>`, `file:<path>` or a server.

    Args:
        address: As it was written.
        what: What takes it, for the error.

    Raises:
        PathError: As `path_of`.
    """
    local = _LOCAL_ADDRESS.fullmatch(address)
    if not local:
        return address if _ADDRESS.fullmatch(address) else text_of_path(address, what)
    scheme = "file://" if local[1].startswith("file:") else local[1]
    return scheme + at_home(local[2])
