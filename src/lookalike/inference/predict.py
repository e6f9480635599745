"""The k nearest known images of a new one, as a dated JSON and a picture.

One unreadable image gives an item with `error`; the rest go on.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.image_files import find_images
from lookalike.errors import LookalikeError
from lookalike.files import stamp, unused, write_json
from lookalike.inference.bundle import Bundle
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import Gallery
from lookalike.metrics.votes import vote

SCHEMA = 1
UNKNOWN = "unknown"


class PredictError(LookalikeError):
    """There is nothing to predict."""


@dataclass(frozen=True)
class Neighbour:
    """One known image.

    Attributes:
        rank: 1 = nearest.
        label: Its class name.
        path: Its file.
        similarity: Cosine with the query, -1 to 1.
    """

    rank: int
    label: str
    path: str
    similarity: float


@dataclass(frozen=True)
class Item:
    """What was found for one image.

    Attributes:
        image: The file.
        label: The label voted by its neighbours; `unknown` when none of them is near enough; None when the image could
            not be used.
        score: Share of the k neighbours that carry that label, 0 to 1; None for `unknown`.
        truth: The name of the image's folder when that is one of the known labels, else None.
        neighbours: Nearest first.
        error: Why the image could not be used, else None.
    """

    image: str
    label: str | None
    score: float | None
    truth: str | None
    neighbours: tuple[Neighbour, ...]
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `error` only where there is one."""
        values = asdict(self)
        if self.error is None:
            del values["error"]
        return values


@dataclass(frozen=True)
class Prediction:
    """The items of one call."""

    created: str
    bundle: str
    fingerprint: str
    k: int
    items: tuple[Item, ...]
    threshold: float | None = None
    precision: str = "float32"

    @property
    def failed(self) -> tuple[Item, ...]:
        """The items that could not be used."""
        return tuple(item for item in self.items if item.error)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        head = {
            "schema": SCHEMA,
            "created": self.created,
            "bundle": self.bundle,
            "fingerprint": self.fingerprint,
            "precision": self.precision,
            "k": self.k,
            **({} if self.threshold is None else {"threshold": self.threshold}),
        }
        return {**head, "items": [item.to_dict() for item in self.items]}

    def write(self, folder: Path) -> Path:
        """Writes `<folder>/<YYYY-MM-DDTHH-MM-SS>.json`; an existing file is never replaced. Returns its path."""
        path = unused(folder / f"{stamp()}.json")
        write_json(path, self.to_dict())
        return path


def find_queries(image: str) -> list[Path]:
    """The files that a file, folder or glob pattern means, sorted.

    Raises:
        PredictError: No image there.
    """
    path = Path(image)
    if path.is_dir():
        found = find_images(path)
    elif path.exists() or not has_magic(image):
        found = [path]
    else:
        found = sorted(Path(name) for name in glob(image, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise PredictError(
            f"image={image}: no image there: give a file, a folder or a quoted pattern such as image='photos/*.jpg'"
        )
    return found


def predict(
    bundle: Bundle,
    encoder: Encoder,
    files: list[Path],
    k: int,
    *,
    gallery: Gallery | None = None,
    threshold: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Prediction:
    """Finds the k nearest gallery images of every file.

    Args:
        bundle: The model and its gallery.
        encoder: Its network, from `embed.load_encoder`.
        files: Image files.
        k: Neighbours per image.
        gallery: Searched instead of the bundle's own.
        threshold: Similarity that the nearest must exceed, else the label is `unknown`; None for no limit.
        progress: Called with the number of images done since the last call.

    Raises:
        GalleryError: k is larger than the gallery, or the gallery is of another fingerprint.
    """
    gallery = gallery or bundle.gallery
    gallery.search(np.zeros((0, encoder.size), np.float32), k, encoder.fingerprint)  # refuses a wrong k before any work
    errors: dict[int, str] = {}
    embeddings = encoder.embed(files, errors=errors, progress=progress)
    rows, similarity = gallery.search(embeddings, k, encoder.fingerprint)
    known = set(gallery.labels)
    items = tuple(
        Item(str(file), None, None, None, (), errors[i])
        if i in errors
        else _item(file, gallery, rows[i], similarity[i], known, threshold)
        for i, file in enumerate(files)
    )
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    return Prediction(created, str(bundle.path), encoder.fingerprint, k, items, threshold, encoder.precision)


def _item(
    file: Path, gallery: Gallery, rows: np.ndarray, similarity: np.ndarray, known: set[str], threshold: float | None
) -> Item:
    labels = [gallery.labels[row] for row in rows]
    winner = labels[vote(np.array(labels), similarity)]
    neighbours = tuple(
        Neighbour(rank, label, str(gallery.file(int(row))), float(value))
        for rank, (label, row, value) in enumerate(zip(labels, rows, similarity, strict=True), start=1)
    )
    folder = file.resolve().parent.name
    truth = folder if folder in known else None
    if threshold is not None and similarity[0] <= threshold:
        return Item(str(file), UNKNOWN, None, truth, neighbours)
    return Item(str(file), winner, labels.count(winner) / len(labels), truth, neighbours)
