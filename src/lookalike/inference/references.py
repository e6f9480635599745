"""The images a model knows: embeddings, labels and paths in a folder, searched exactly in memory.

The folder holds `embeddings.npy` (float32, no pickle), `rows.csv` (label, path) and `gallery.json` (fingerprint, root).
`lookalike embed` writes the same folder, so embeddings of any images can be searched.

Letters in shapes: R references, Q queries, D embedding, K neighbours.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import index
from pathlib import Path
from typing import TypeVar

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.files import sha256_of, write_bytes, write_json

_SCHEMA = 1
_ABOUT = {"schema", "fingerprint", "precision", "root", "files"}
_FILES = ("embeddings.npy", "rows.csv")
FILES = ("embeddings.npy", "rows.csv", "gallery.json")
_LENGTH_TOLERANCE = 0.01
_Value = TypeVar("_Value")


class GalleryError(LookalikeError):
    """A gallery is damaged, empty, or does not belong to the embeddings."""


@dataclass(frozen=True, eq=False)
class References:
    """References of one fingerprint.

    Attributes:
        embeddings: float32 [R, D], unit length.
        labels: R labels.
        paths: R paths, relative to `root` or absolute.
        root: The folder that relative paths start from.
        fingerprint: What made the embeddings (weights and pixel settings).
        precision: Of the arithmetic that made them, "" where it is not known.
        thumbnails: R small JPEGs where they are kept, None otherwise.
        off_unit: By how much a length of `embeddings` differs from 1 at most; None where it is to be measured.
        numbers: int64 [R] of the images in their gallery, None in a bundle.
    """

    embeddings: np.ndarray
    labels: list[str]
    paths: Sequence[str]
    root: Path
    fingerprint: str
    precision: str = ""
    thumbnails: Sequence[bytes] | None = None
    off_unit: float | None = None
    numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.embeddings) == len(self.labels) == len(self.paths):
            raise GalleryError(
                f"one label and one path per embedding expected, got {len(self.embeddings)} embeddings, "
                f"{len(self.labels)} labels, {len(self.paths)} paths: write the gallery again"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"References({len(self)} images, {len(set(self.labels))} labels, made by {self.fingerprint[:12]})"

    def file(self, row: int) -> Path:
        """Where the image of a row lies."""
        return self.root / self.paths[row]

    def files(self, rows: Sequence[int]) -> list[Path]:
        """Where the images of some rows lie, read together."""
        return [self.root / path for path in _together(self.paths, rows)]

    def pictures(self, rows: Sequence[int]) -> list[bytes]:
        """Their small JPEGs, read together; empty where none are kept."""
        return [b""] * len(rows) if self.thumbnails is None else _together(self.thumbnails, rows)

    def first(self, count: int) -> "References":
        """So many of them, those that stand first; their thumbnails are left out."""
        return replace(
            self,
            embeddings=self.embeddings[:count],
            labels=self.labels[:count],
            paths=self.paths[:count],
            thumbnails=None,
            off_unit=None,
            numbers=None,
        )

    def followed_by(self, embeddings: np.ndarray, labels: Sequence[str], paths: Sequence[str]) -> "References":
        """The same with others behind them, of the same root, made by the same network.

        Args:
            embeddings: float32 [N, D], unit length.
            labels: N labels.
            paths: N paths.
        """
        return replace(
            self,
            embeddings=np.concatenate([self.embeddings, embeddings]),
            labels=[*self.labels, *labels],
            paths=[*self.paths, *paths],
            thumbnails=None,
            off_unit=None,
            numbers=None,
        )

    @cached_property
    def _off_unit(self) -> float:
        from lookalike.metrics.search import off_unit_length

        return off_unit_length(self.embeddings) if self.off_unit is None else self.off_unit

    def search(
        self, query: np.ndarray, k: int, fingerprint: str, ignore: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest references of each query, as `evaluate` ranks them: similarity descending, then row ascending.

        Args:
            query: float32 [Q, D], unit length.
            k: K, at least 1.
            fingerprint: That of the encoder which made `query`.
            ignore: bool [R], references that are not to be found; None for none.

        Returns:
            int64 [Q, K] rows and float32 [Q, K] cosine similarities.

        Raises:
            GalleryError: Another fingerprint, k beyond the gallery, or a query of another size or not finite.
        """
        need_same_fingerprint(self.fingerprint, fingerprint)
        k = checked_k(k, len(self) if ignore is None else int(np.count_nonzero(~ignore)))
        query = self.as_query(query, fingerprint)
        from lookalike.metrics.search import nearest  # here, as the compiler of its kernels takes a while

        return nearest(query, self.embeddings, k, ignore, self._off_unit if len(query) else 0.0)

    def as_query(self, query: np.ndarray, fingerprint: str) -> np.ndarray:
        """Embeddings that ask, float32 [Q, D], checked.

        Args:
            query: As given.
            fingerprint: That of the encoder which made them.

        Raises:
            GalleryError: Another fingerprint, or a query of another size or not finite.
        """
        need_same_fingerprint(self.fingerprint, fingerprint)
        query = np.asarray(query)
        if query.dtype.kind not in "fiu":
            raise GalleryError(
                f"query embeddings: expected float32 [Q, {self.embeddings.shape[1]}], got {query.dtype}: "
                "embed the images first"
            )
        with np.errstate(over="ignore"):  # what is beyond float32 is told as not finite
            query = np.ascontiguousarray(query, np.float32)
        if query.ndim != 2 or query.shape[1:] != self.embeddings.shape[1:] or not np.isfinite(query).all():
            raise GalleryError(
                f"query embeddings: expected finite values [Q, {self.embeddings.shape[1]}], got {query.shape} with "
                f"{int((~np.isfinite(query)).sum())} that are not finite: check the weights"
            )
        return query

    def save(self, folder: Path) -> None:
        """Writes the three files into an existing folder, each whole or not at all."""
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(self.embeddings, np.float32), allow_pickle=False)
        write_bytes(folder / "embeddings.npy", buffer.getvalue())
        text = io.StringIO()
        csv.writer(text).writerows([("label", "path"), *zip(self.labels, self.paths, strict=True)])
        write_bytes(folder / "rows.csv", text.getvalue().encode("utf-8", "surrogateescape"))
        about = {
            "schema": _SCHEMA,
            "fingerprint": self.fingerprint,
            "precision": self.precision,
            "root": str(self.root),
            "files": {name: sha256_of(folder / name) for name in _FILES},
        }
        write_json(folder / "gallery.json", about)


def _together(values: Sequence[_Value], rows: Sequence[int]) -> list[_Value]:
    """The values of some rows; what reads them from a database reads all of them at once."""
    together: Callable[[Sequence[int]], list[_Value]] | None = getattr(values, "together", None)
    return [values[row] for row in rows] if together is None else together(rows)


def checked_k(k: int, most: int | None = None) -> int:
    """How many neighbours, as a plain whole number.

    Args:
        k: As given; a number of NumPy, too.
        most: The number of images, where more are refused.

    Raises:
        GalleryError: No whole number, below 1, or above `most`.
    """
    try:
        number = index(k)
    except TypeError:
        number = 0
    if number < 1 or isinstance(k, bool) or (most is not None and number > most):
        expected = "a whole number from 1" if most is None else f"1 to {most}, the number of images in the gallery"
        raise GalleryError(f"k={k!r}: expected {expected}")
    return number


def need_same_fingerprint(gallery: str, query: str) -> None:
    """Refuses to compare embeddings of different networks.

    Raises:
        GalleryError: They are.
    """
    if gallery != query:
        raise GalleryError(
            f"the gallery was made by the model {gallery[:12]}, the query by {query[:12]}: embeddings of different "
            "weights or pixel settings cannot be compared; use the model that made the gallery for both"
        )


def load_references(folder: Path) -> References:
    """Reads a folder that `References.save` wrote.

    Raises:
        GalleryError: A file is missing or damaged; no pickle is ever read.
    """
    try:
        about = json.loads((folder / "gallery.json").read_bytes().decode("utf-8", "surrogateescape"))
        if about["schema"] != _SCHEMA:
            raise ValueError(f"gallery.json is of schema {about['schema']}, expected {_SCHEMA}")
        if others := set(about) - _ABOUT:  # a damaged name of `files` would leave the checksums unread
            raise ValueError(f"gallery.json: unknown: {', '.join(sorted(others))}")
        embeddings = _array(folder / "embeddings.npy")
        if not isinstance(embeddings, np.ndarray) or embeddings.ndim != 2 or embeddings.dtype != np.float32:
            raise ValueError("embeddings.npy holds no float32 [R, D]")
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(embeddings, axis=1)
            unit = abs(lengths - 1) <= _LENGTH_TOLERANCE
        if not unit.all():
            row = int(np.argmin(unit))
            raise ValueError(f"embeddings.npy: row {row} has length {lengths[row]:.3g}, expected 1")
        text = (folder / "rows.csv").read_bytes().decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        labels, paths = [row[0] for row in rows], [row[1] for row in rows]
        about = {"precision": "", **about}
        for name in ("root", "fingerprint", "precision"):
            if not isinstance(about[name], str):
                raise ValueError(f"gallery.json: {name}: expected text, found {about[name]!r}")
        made = References(embeddings, labels, paths, Path(about["root"]), about["fingerprint"], about["precision"])
        given = about.get("files", {})  # folders of earlier versions have no checksums
        for name in _FILES if given else ():
            if given[name] != sha256_of(folder / name):
                raise ValueError(f"{name}: its checksum is wrong, so it was changed or damaged after it was written")
        return made
    except GalleryError:
        raise
    except (OSError, EOFError, ValueError, TypeError, LookupError, csv.Error, RecursionError, MemoryError) as error:
        raise GalleryError(
            f"{folder}: not a readable gallery ({error}): write it again with lookalike embed"
        ) from error


def _array(file: Path) -> object:
    try:
        return np.load(file, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy reads the header as Python: what is no header raises anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{file.name}: {reason}") from error
