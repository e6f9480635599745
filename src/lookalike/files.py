"""Files that are written whole or not at all: a temporary name of this process, flushed to disk, then renamed.

A reader never sees half a file, and a full disk or a killed process leaves the previous version in place. Each writer
has a temporary name of its own, made anew (a link that lies there is not followed) and locked while it is written: what
a killed process left has no holder, and is removed by the next process that writes into the same folder.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from lookalike.errors import LookalikeError
from lookalike.special_files import need_no_special

_TEMPORARY = re.compile(r"\.lookalike-[0-9a-f]{16}\.tmp")
_SYNCED_AT_ONCE = 16
_tidied: set[Path] = set()  # folders that this process has looked through


class DiskFullError(LookalikeError):
    """No room (or quota) left for a file; what stood there before is untouched."""


def no_room(path: Path, reason: str) -> DiskFullError:
    """What is said when there is no room for `path`, whoever noticed it."""
    return DiskFullError(
        f"{path}: no space left to write it ({reason}); what was there before is unchanged: "
        "free some space, then run the same command again"
    )


def _translate(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return no_room(path, str(error.strerror))
    if _TEMPORARY.fullmatch(Path(str(error.filename)).name):
        error.filename, error.filename2 = str(path), None  # not the temporary file's
    return error


def sync_folder(folder: Path) -> None:
    """Makes a rename durable; a no-op where folders cannot be opened (Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _hold(handle: int, path: Path) -> bool:
    """Locks what was just made at `path` for as long as `handle` is open; False when it was tidied away before that."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody else can hold it either, and then nobody removes it
        return True
    try:
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def tidy(folder: Path) -> None:
    """Removes what killed processes left in `folder`."""
    if fcntl is None:
        return
    _tidied.add(folder)
    for entry in [entry for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]:
        with suppress(OSError):  # it is held, or is not ours to remove
            handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()
            finally:
                os.close(handle)


def _temporary(folder: Path) -> Path:
    return folder / f".lookalike-{secrets.token_hex(8)}.tmp"


@contextmanager
def _new_file(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file beside `path` that is this process's alone; what is left of it is removed at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.absolute() not in _tidied:  # it may hold many files, of which each is written by a call
            tidy(path.parent.absolute())
        while True:
            temporary = _temporary(path.parent)
            handle = temporary.open("xb")
            if _hold(handle.fileno(), temporary):
                break
            handle.close()
        try:
            with handle:
                yield temporary, handle
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _translate(error, path) from error


def _sync_file(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _flush(handle: IO[bytes]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a binary file that replaces `path` only when the block ends without an error.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    need_no_special(path)
    with _new_file(path) as (temporary, handle):
        yield handle
        _flush(handle)
        if os.name != "posix":
            handle.close()  # an open file cannot be renamed there
        temporary.replace(path)
        sync_folder(path.parent)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with atomic_file(path) as handle:
        handle.write(content)


def write_once(path: Path, content: bytes) -> None:
    """Writes `content` to `path` unless something stands there already, also when two processes try at once."""
    with _new_file(path) as (temporary, handle):
        handle.write(content)
        _flush(handle)
        _claim(temporary, path)


def write_new(path: Path, content: bytes, beside: tuple[str, ...] = ()) -> Path:
    """Writes `content` under a name that nobody has, also when many processes try at once.

    Args:
        path: The name, or else `<stem>-2<suffix>`, `<stem>-3<suffix>` ...
        content: All of it.
        beside: Suffixes of further files that will get the same stem: a name is not taken where one of them exists.

    Returns:
        The name it got. No existing file is replaced.

    Raises:
        DiskFullError: There is no room.
    """
    with _new_file(path) as (temporary, handle):
        handle.write(content)
        _flush(handle)
        for candidate in numbered(path):
            taken = any(os.path.lexists(candidate.with_suffix(suffix)) for suffix in beside)
            if not taken and _claim(temporary, candidate):
                sync_folder(path.parent)
                return candidate
    raise AssertionError("names do not run out")


def set_aside_for(path: Path, content: bytes) -> Path | None:
    """Writes `content` to `path`, whole or not at all; what stands there is renamed as by `set_aside` at the end.

    Returns:
        Where that is now; None when it held the same, or nothing stood there.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    aside = None
    with _new_file(path) as (temporary, handle):
        handle.write(content)
        _flush(handle)
        while not _claim(temporary, path):
            if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
                break
            aside = set_aside(path) or aside
        sync_folder(path.parent)
    return aside


def _claim(temporary: Path, path: Path) -> bool:
    """Gives a file that is whole the name `path`, in one step; False when something has that name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: the name first, the content behind it
        try:
            path.open("xb").close()
        except FileExistsError:
            return False
        try:
            shutil.copyfile(temporary, path)
        except BaseException:
            path.unlink()  # the name is ours, and half a file is nobody's
            raise
    return True


def as_json(content: object) -> bytes:
    """JSON (UTF-8, indented) of plain values. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "surrogateescape")


def write_json(path: Path, content: object) -> None:
    """Writes JSON as of `as_json`, whole or not at all."""
    write_bytes(path, as_json(content))


@contextmanager
def atomic_folder(path: Path, first_wins: bool = False, kept: list[Path] | None = None) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` only when the block ends without an error.

    A folder that already stands at `path` is kept under a dated name beside it.

    Args:
        path: The folder.
        first_wins: Every process would write the same: when another one was quicker, its folder stays and ours goes.
        kept: Where what stood there is now is added to it.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    try:
        with _new_folder(path) as temporary:
            yield temporary
            files = [file for file in temporary.rglob("*") if file.is_file()]
            with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:  # a disk writes many as quickly as one
                deque(pool.map(_sync_file, files), maxlen=0)
            while True:
                if first_wins:
                    with suppress(OSError):
                        path.rmdir()  # an empty one is replaced
                elif (aside := set_aside(path)) is not None and kept is not None:
                    kept.append(aside)
                try:
                    temporary.rename(path)
                    break
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    if first_wins:
                        break
            sync_folder(path.parent)
    except OSError as error:
        raise _translate(error, path) from error


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is this process's alone; what is left of it is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent.absolute())
    handle: int | None = None
    while True:
        temporary = _temporary(path.parent)
        temporary.mkdir()
        if os.name != "posix":
            break
        with suppress(FileNotFoundError):  # tidied away already
            handle = os.open(temporary, os.O_RDONLY)
            if _hold(handle, temporary):
                break
            os.close(handle)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def need_place(folder: Path) -> None:
    """Sees that files can be written to a folder, or it be made, before hours of work are spent on their content.

    Raises:
        DiskFullError: There is no room.
        LookalikeError: Nothing can be written there.
    """
    try:
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
        with TemporaryFile(dir=there) as file:
            file.write(b"0")
    except OSError as error:
        problem = _translate(error, folder)
        if isinstance(problem, DiskFullError):
            raise problem from error
        raise LookalikeError(
            f"{folder}: nothing can be written there ({error.strerror}): give another folder, or mend its permissions"
        ) from error


def set_aside(path: Path) -> Path | None:
    """Renames what stands at `path` to `<name>.<date>`, so that nothing is lost; returns the new place."""
    if not os.path.lexists(path):
        return None
    need_no_special(path)
    for aside in numbered(path.with_name(f"{path.name}.{stamp()}")):
        folder = path.is_dir() and not path.is_symlink()
        try:
            aside.mkdir() if folder else aside.open("xb").close()
        except FileExistsError:
            continue
        if os.name != "posix":  # there nothing empty is replaced
            aside.rmdir() if folder else aside.unlink()
        try:
            path.rename(aside)
        except FileNotFoundError:  # another process has set it aside
            aside.rmdir() if folder else aside.unlink()
            return None
        return aside
    raise AssertionError("names do not run out")


def stamp() -> str:
    """The local time as `YYYY-MM-DDTHH-MM-SS`, which sorts and is a legal file name everywhere."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S")


def numbered(path: Path) -> Iterator[Path]:
    """`path`, then `<stem>-2<suffix>`, `<stem>-3<suffix>` ..."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


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


def readable(name: str) -> str:
    """The name of a file as text that a table or a database holds: bytes of it that are no UTF-8 are spelt out."""
    return name.encode("utf-8", "backslashreplace").decode()
