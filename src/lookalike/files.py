"""Files that are written whole or not at all: a temporary name, flushed to disk, then renamed.

A reader never sees half a file, and a full disk or a killed process leaves the previous version in place.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from lookalike.errors import LookalikeError


class DiskFullError(LookalikeError):
    """No room (or quota) left for a file; what stood there before is untouched."""


def _translate(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(
            f"{path}: no space left to write it ({error.strerror}); what was there before is unchanged: "
            "free some space, then run the same command again"
        )
    if Path(str(error.filename)).name.startswith(f".{path.name}."):
        error.filename = str(path)  # not the temporary file's
    return error


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable; a no-op where folders cannot be opened (Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a binary file that replaces `path` only when the block ends without an error.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # always the same name: what a killed process left is overwritten
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _translate(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with atomic_file(path) as handle:
        handle.write(content)


def write_once(path: Path, content: bytes) -> None:
    """Writes `content` to `path` unless something stands there already, also when two processes try at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                temporary.replace(path)
    except OSError as error:
        raise _translate(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Writes JSON (UTF-8, indented), whole or not at all. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode("utf-8", "surrogateescape"))


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` only when the block ends without an error.

    A folder that already stands at `path` is kept under a dated name beside it.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # always the same name: what a killed process left is overwritten
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        set_aside(path)
        temporary.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _translate(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def set_aside(path: Path) -> Path | None:
    """Renames what stands at `path` to `<name>.<date>`, so that nothing is lost; returns the new place."""
    if not path.exists():
        return None
    aside = unused(path.with_name(f"{path.name}.{stamp()}"))
    path.rename(aside)
    return aside


def stamp() -> str:
    """The local time as `YYYY-MM-DDTHH-MM-SS`, which sorts and is a legal file name everywhere."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S")


def unused(path: Path) -> Path:
    """`path`, or the first of `<stem>-2<suffix>`, `<stem>-3<suffix>` ... that does not exist yet."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return candidate


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as 64 hex digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def only_one(lock: Path, otherwise: str, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock file for this process; the system lets go of it when the process ends, however it ends.

    Args:
        lock: The file; it may stay behind, empty.
        otherwise: What the error says when another process holds it.
        wait: Called before waiting for the other process; None to raise instead.

    Raises:
        LookalikeError: Another process holds it.
    """
    from filelock import FileLock, Timeout  # here, as what only reads files needs no locks

    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = FileLock(lock)
    try:
        held = holder.acquire(timeout=0)
    except Timeout as error:
        if wait is None:
            raise LookalikeError(f"{otherwise} ({lock} is held): wait for it, or give another name") from error
        wait()
        held = holder.acquire()
    with held:
        yield
