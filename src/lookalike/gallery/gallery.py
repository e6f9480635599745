"""`Gallery`: images that are enrolled, renamed, removed and searched without training.

Letters in shapes: Q queries, D embedding, K neighbours.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, overload

import cv2
import numpy as np

from lookalike.data.any_image import AnyImage, name_of, read_any
from lookalike.data.image_files import find_images
from lookalike.data.pixels import PixelSettings
from lookalike.errors import did_you_mean, listed
from lookalike.gallery.sqlite_store import Row, SqliteStore
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Prediction, Predictions, predict_any
from lookalike.inference.references import GalleryError, References

_FILE = "gallery.sqlite"
_THUMBNAIL = PixelSettings(160, 160, "pad")
_JPEG_QUALITY = 85


class HasEncoder(Protocol):
    """What embeds for a gallery, such as `lookalike.Model`."""

    encoder: Encoder


class Gallery:
    """Known images in a folder of their own: a class is added by enrolling images of it.

    Made by `Gallery.create` or `Gallery.open`. The original files are not needed afterwards. Every change is written
    whole or not at all; several processes may read while one writes.

    Args:
        path: The folder.
        model: Embeds; the gallery belongs to its fingerprint.
        store: Its rows.

    Raises:
        GalleryError: The gallery was made by another model.
    """

    def __init__(self, path: Path, model: HasEncoder, store: SqliteStore) -> None:
        made_by = store.about["fingerprint"]
        if made_by != model.encoder.fingerprint:
            raise GalleryError(
                f"{path}: made by the model {made_by[:12]}, opened with {model.encoder.fingerprint[:12]}: embeddings "
                "of different weights or pixel settings cannot be compared; open it with the model that made it"
            )
        self.path, self.encoder, self._store = path, model.encoder, store
        self._version: tuple[int, int] | None = None
        self._read: tuple[References, list[int]] | None = None

    @classmethod
    def create(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Makes an empty gallery.

        Args:
            path: A new folder, or one without a gallery.
            model: What embeds its images.

        Raises:
            StoreError: A gallery is there already.
        """
        encoder = model.encoder
        about = {
            "fingerprint": encoder.fingerprint,
            "precision": encoder.precision,
            "dimensions": str(encoder.size),
        }
        return cls(Path(path), model, SqliteStore.create(Path(path) / _FILE, about))

    @classmethod
    def open(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Opens a gallery.

        Args:
            path: Its folder.
            model: The one that made it.

        Raises:
            StoreError: There is none, or it cannot be read.
            GalleryError: Another model made it.
        """
        return cls(Path(path), model, SqliteStore(Path(path) / _FILE))

    def add(
        self,
        images: AnyImage | Sequence[AnyImage],
        labels: str | Sequence[str] | None = None,
        *,
        camera: int | None = None,
        note: str = "",
    ) -> list[int]:
        """Enrols images, all of them or none.

        Args:
            images: One or several: files, folders of images, bytes, uint8 arrays or pictures of Pillow.
            labels: One for all, or one each; None for the name of each file's folder.
            camera: What took them.
            note: Why, for the history.

        Returns:
            Their numbers, which `remove` takes.

        Raises:
            GalleryError: Labels are missing or of another number than the images, or images cannot be used.
        """
        sources = _spread(images)
        names = _labels_for(sources, labels)
        errors: dict[int, str] = {}
        embeddings = self.encoder.embed(sources, errors=errors)
        if errors:
            raise GalleryError(
                f"{len(errors)} of {len(sources)} images cannot be used, so none was added:\n  "
                f"{listed(list(errors.values()))}"
            )
        rows = [
            Row(label, _source_of(image, i), _thumbnail(image), embeddings[i].astype("<f4").tobytes(), camera)
            for i, (image, label) in enumerate(zip(sources, names, strict=True))
        ]
        return self._store.add(rows, note)

    def rename(self, label: str, new: str, *, note: str = "") -> int:
        """Gives a label another name; where that exists already, the two become one.

        Args:
            label: As it is.
            new: As it shall be.
            note: Why, for the history.

        Returns:
            How many images have the new name now that had the old one.

        Raises:
            GalleryError: There is no such label, or the new one is empty.
        """
        if not new:
            raise GalleryError(f"rename({label!r}, {new!r}): expected a new name, got an empty one")
        self._need_label(label)
        return self._store.rename(label, new, note)

    def remove(
        self, *, label: str | None = None, image: int | None = None, source: str | Path | None = None, note: str = ""
    ) -> int:
        """Removes the images of a label, one image by its number, or those of one source.

        Args:
            label: All images of it.
            image: A number that `add` gave.
            source: The path that an image was enrolled from.
            note: Why, for the history.

        Returns:
            How many were removed.

        Raises:
            GalleryError: None or several of the three are given, or nothing matches.
        """
        if sum(value is not None for value in (label, image, source)) != 1:
            raise GalleryError("remove: expected one of label=, image= and source=: give exactly one")
        if label is not None:
            self._need_label(label)
            return self._store.remove("label", label, note)
        if image is not None:
            removed, what = self._store.remove("id", image, note), f"image={image}"
        else:
            removed, what = self._store.remove("source", str(Path(str(source)).resolve()), note), f"source={source}"
        if not removed:
            raise GalleryError(f"remove: {what} is not in {self.path}: see the numbers that add gave")
        return removed

    @overload
    def predict(
        self, images: str | Path | np.ndarray, k: int = 10, *, threshold: float | None = None
    ) -> Prediction: ...

    @overload
    def predict(
        self, images: list[Any] | tuple[Any, ...], k: int = 10, *, threshold: float | None = None
    ) -> Predictions: ...

    def predict(
        self, images: AnyImage | Sequence[AnyImage], k: int = 10, *, threshold: float | None = None
    ) -> Prediction | Predictions:
        """Names images by their k nearest enrolled ones.

        Args:
            images: One image or several.
            k: Neighbours that vote; all of them in a smaller gallery.
            threshold: Similarity that the nearest must exceed, else the label is `unknown`; None for no limit.

        Returns:
            A prediction for one image, `Predictions` for several.

        Raises:
            GalleryError: The gallery is empty.
            ImageError: A single image cannot be used; among several it gets a prediction with `error`.
        """
        if k < 1:
            raise GalleryError(f"k={k}: expected 1 or more")
        references = self._filled()
        k = min(k, len(references))
        return predict_any(self.encoder, references, images, k, source=str(self.path), threshold=threshold)

    def search(self, embeddings: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest enrolled images of each embedding, exactly.

        Args:
            embeddings: float32 [Q, D], unit length, made by the model of the gallery.
            k: K; all images in a smaller gallery.

        Returns:
            int64 [Q, K] numbers of images, and float32 [Q, K] cosine similarities, nearest first.

        Raises:
            GalleryError: The gallery is empty, or embeddings of another size or not finite.
        """
        references = self._filled()
        rows, similarity = references.search(embeddings, min(k, len(references)), self.encoder.fingerprint)
        return np.array(self._snapshot()[1], np.int64)[rows], similarity

    @property
    def references(self) -> References:
        """Its images as arrays, read again when they changed."""
        return self._snapshot()[0]

    @property
    def labels(self) -> dict[str, int]:
        """Label -> how many images it has, sorted."""
        return dict(sorted(Counter(self.references.labels).items()))

    def __len__(self) -> int:
        return len(self.references)

    def __repr__(self) -> str:
        return f"Gallery({str(self.path)!r}: {len(self)} images of {len(self.labels)} labels)"

    def _filled(self) -> References:
        references = self.references
        if not len(references):
            raise GalleryError(f"{self.path}: is empty, so there is nothing to find: add images first")
        return references

    def _snapshot(self) -> tuple[References, list[int]]:
        version = self._store.version
        if self._read is None or version != self._version:
            rows = self._store.rows()
            size = int(self._store.about["dimensions"])
            embeddings = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(len(rows), size)
            references = References(
                embeddings.astype(np.float32),
                [row.label for row in rows],
                [row.source for row in rows],
                Path(),
                self._store.about["fingerprint"],
                self._store.about["precision"],
                [row.thumbnail for row in rows],
            )
            self._read, self._version = (references, [row.id for row in rows]), version
        return self._read

    def _need_label(self, label: str) -> None:
        labels = self.labels
        if label not in labels:
            raise GalleryError(f"{self.path}: has no label {label!r}{did_you_mean(label, list(labels))}")


def _spread(images: AnyImage | Sequence[AnyImage]) -> list[AnyImage]:
    """One list; a folder becomes the images in it.

    Raises:
        GalleryError: There is no image.
    """
    several = isinstance(images, Sequence) and not isinstance(images, str | bytes)
    given: Sequence[Any] = images if several else [images]  # type: ignore[assignment]
    spread: list[AnyImage] = []
    for image in given:
        folder = isinstance(image, str | Path) and Path(image).is_dir()
        spread += find_images(Path(image)) if folder else [image]
    if not spread:
        raise GalleryError("add: no image there: give files, a folder of images, arrays or pictures")
    return spread


def _labels_for(images: list[AnyImage], labels: str | Sequence[str] | None) -> list[str]:
    if labels is None:
        nameless = sum(not isinstance(image, str | Path) for image in images)
        if nameless:
            raise GalleryError(f"add: {nameless} of {len(images)} images have no folder that names them: give labels=")
        return [Path(str(image)).resolve().parent.name for image in images]
    names = [labels] * len(images) if isinstance(labels, str) else [str(label) for label in labels]
    if len(names) != len(images) or not all(names):
        raise GalleryError(
            f"add: expected one label for all or one per image, none of them empty, got {len(names)} for "
            f"{len(images)} images"
        )
    return names


def _source_of(image: AnyImage, number: int) -> str:
    return str(Path(image).resolve()) if isinstance(image, str | Path) else name_of(image, number)


def _thumbnail(image: AnyImage) -> bytes:
    pixels = read_any(image, _THUMBNAIL)
    encoded, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert encoded, "OpenCV encodes any uint8 RGB image"
    return bytes(data)
