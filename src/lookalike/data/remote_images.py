"""Images of an object store: a folder of them, or a table of their paths, as one table; read when they are embedded.

Labels are the names of folders, as for any folder of this machine; a table is read as one of this machine is. That each
file is there is seen when it is read: asking an object store for millions of files beforehand takes hours.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, overload

import pandas as pd

from lookalike.data.image_files import is_image_name
from lookalike.data.image_limits import MAX_BYTES
from lookalike.data.images import ImageError
from lookalike.data.labels import as_label
from lookalike.data.manifest import tidy
from lookalike.data.table_rows import row_problems
from lookalike.data.tables import ManifestError, original_rows, read_table
from lookalike.errors import listed
from lookalike.storage import Bucket, Storage, StorageError, is_address, joined, storage_of

_TABLES = (".csv", ".tsv", ".parquet")
_OF_THIS_MACHINE = ("archive", "exclude", "pattern", "fold", "split", "test_share", "validation_share")


class RemoteImages(Sequence[bytes]):
    """The contents of images, each fetched when it is asked for; what is no file of the store is an `ImageError`.

    Args:
        root: Address that relative paths start from.
        paths: Of the images, N.
    """

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self._root, self._paths = root, paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> "RemoteImages": ...

    def __getitem__(self, place: int | slice) -> "bytes | RemoteImages":
        if isinstance(place, slice):
            return RemoteImages(self._root, self._paths[place])
        path = self._paths[place]
        try:
            address = joined(self._root, path)
        except StorageError as error:
            raise ImageError(str(error), "unreadable") from error
        bucket, _, name = address.removeprefix("s3://").partition("/")
        try:
            content = Bucket(bucket).read(name, MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise ImageError(f"{address}: no such object: restore it or remove its row", "unreadable") from error
        if len(content) > MAX_BYTES:
            raise ImageError(f"{address}: more than {MAX_BYTES} bytes: scale the picture down first", "size")
        return content


def read_remote(data: dict[str, Any]) -> tuple[pd.DataFrame, str, tuple[str, ...]]:
    """The images of a data set that an object store has.

    Args:
        data: The settings of a data set, plain values; `root` or `images` is an address.

    Returns:
        The rows as of `Manifest.table`, the address that their paths start from, and what was passed over, in words.

    Raises:
        ManifestError: No image there, problems in a table, or a setting that is for files of this machine.
        StorageError: The object store cannot be reached.
    """
    given = [name for name in _OF_THIS_MACHINE if data.get(name)]
    given += [] if data.get("layout") in (None, "auto", "folders") else ["layout"]
    root = str(data["root"])
    if given:
        raise ManifestError(
            f"data.{given[0]}={data[given[0]]}: is for data of this machine, {root} is in an object store: leave it "
            "out, or write the table that is meant"
        )
    if root.lower().endswith(_TABLES):
        rows, start = _table(root, data.get("images"), data.get("columns") or {})
        return rows, start, ()
    if data.get("images") or any((data.get("columns") or {}).values()):
        raise ManifestError(f"{root}: a folder, and data.images and data.columns are for tables: leave them out")
    return _folder(storage_of(root), root)


def _folder(storage: Storage, root: str) -> tuple[pd.DataFrame, str, tuple[str, ...]]:
    paths = [name for name, _ in storage.below()]
    images = [path for path in paths if is_image_name(PurePosixPath(path).name)]
    top = PurePosixPath(root).name
    labels = [as_label(PurePosixPath(path).parent.name or top) for path in images]
    rows = tidy(pd.DataFrame({"path": images, "label": labels}, dtype="str"))
    others = len(paths) - len(images)
    lost = (f"{root}: {others} file(s) passed over: not an image extension",) if others else ()
    return rows, root, lost


def _table(root: str, images: str | None, columns: dict[str, str | None]) -> tuple[pd.DataFrame, str]:
    """A table of either side, fetched and read as one of this machine."""
    above, _, name = root.rpartition("/")
    start = images or above
    with TemporaryDirectory(prefix="lookalike-") as scratch:
        file = Path(root)
        if is_address(root):
            file = Path(scratch, name)
            try:
                file.write_bytes(storage_of(above).read(name))
            except FileNotFoundError as error:
                raise ManifestError(f"{root}: no such table: check its address") from error
        read = read_table(file, {ours: theirs for ours, theirs in columns.items() if theirs}, Path(scratch))
    table = tidy(read.rows)
    if problems := [*read.problems, *row_problems(read.rows)]:
        raise ManifestError(f"{root}: {len(problems)} problem(s):\n{listed(problems)}")
    return original_rows(table).reset_index(drop=True), start
