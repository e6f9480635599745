"""What a service is asked about images: their names, their embeddings and what is near."""

import base64
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.data.images import ImageError
from lookalike.data.labels import as_label
from lookalike.data.thumbnail import jpeg_of, thumbnail
from lookalike.errors import LookalikeError
from lookalike.gallery.gallery import Gallery
from lookalike.inference.encoder import Box, Encoder
from lookalike.inference.predict import Predictions
from lookalike.inference.references import GalleryError
from lookalike.serving.day_counts import DayCounts
from lookalike.serving.figures import Figures
from lookalike.serving.kept_figures import KeepLimits
from lookalike.serving.kept_open import KeptOpen
from lookalike.serving.options import MOST_NEIGHBOURS, EmbedOptions, ExplainOptions, PredictOptions, SearchOptions
from lookalike.serving.unknowns import Unknowns
from lookalike.serving.uploads import Upload

_USUAL_RATE = 0.05  # of false acceptance, that the page asks with
_PREVIEW = 480  # pixels of both sides


class Naming:
    """A gallery, open, and its model, as they are asked.

    Attributes:
        figures: What is counted.
        kept: The gallery.
        unknowns: Kept unknown images.

    Args:
        gallery: Open.
        figures: What is counted.
        unknown: Folder of kept unknown images; None for the gallery's own.
        limits: Of kept unknown images.
    """

    def __init__(self, gallery: Gallery, figures: Figures, unknown: Path | None, limits: KeepLimits) -> None:
        folder = gallery.path if isinstance(gallery.path, Path) else None
        self.figures = figures
        self.kept = KeptOpen(gallery)
        self.unknowns = Unknowns(lambda: self.gallery, unknown, limits)
        self._days = DayCounts(folder / "days.json" if folder else None)
        self._warm = False

    @property
    def gallery(self) -> Gallery:
        """As it was opened last."""
        return self.kept.gallery

    @property
    def encoder(self) -> Encoder:
        """Of its model, made for requests."""
        return self.kept.encoder

    def warm_up(self) -> None:
        """Loads and compiles what the first requests would otherwise wait for."""
        with suppress(LookalikeError):
            self.kept.call(self._warmed)
        self._warm = True

    def _warmed(self) -> None:
        gallery, pixels = self.gallery, self.encoder.pixels
        with suppress(LookalikeError):  # an empty gallery, or one of one label
            gallery.unknown_limit(_USUAL_RATE)
        content = io.BytesIO()
        Image.fromarray(np.zeros((pixels.height, pixels.width, 3), np.uint8)).save(content, "JPEG")
        with suppress(LookalikeError):
            gallery.predict(content.getvalue())

    def predict(self, upload: Upload, options: PredictOptions) -> dict[str, Any]:
        """As `lookalike predict` writes it, with the number of every neighbour.

        Args:
            upload: The images.
            options: How.

        Raises:
            ImageError: None of the images can be used.
            LookalikeError: As `Gallery.predict`.
        """
        gallery = self.gallery
        made = gallery.predict_images(
            list(upload.images),
            options.k,
            threshold=options.threshold,
            false_accept_rate=options.false_accept_rate,
            where=options.where,
            unless=options.unless,
            index=options.index,
            boxes=boxes_of(options.boxes, len(upload.images)),
        )
        made = _named(gallery, made, upload)
        need_one(len(made.failed), len(made), [item.error or "" for item in made.failed])
        answer = {**made.to_dict(), "bundle": gallery.name}
        _tell_cameras(gallery, [neighbour for item in answer["items"] for neighbour in item["neighbours"]])
        if options.keep_unknown:
            kept, answer["not_kept"] = self.unknowns.keep(gallery, made)
            answer["kept"] = [path.name for path in kept]
            self.figures.not_kept.inc(answer["not_kept"])
        self._count_asked(made)
        return answer

    def _count_asked(self, made: Predictions) -> None:
        """At the end, as what fails before may be asked again."""
        images, unknown = len(made) - len(made.failed), sum(item.unknown for item in made)
        self.figures.images.inc(images)
        self.figures.unknown.inc(unknown)
        if made.rejection is not None:
            self._days.add(images, unknown)

    def embed(self, images: Sequence[bytes], names: Sequence[str], options: EmbedOptions) -> dict[str, Any]:
        """Embeddings of images.

        Args:
            images: Files, their bytes.
            names: Of each.
            options: Which parts of them.

        Raises:
            ImageError: None of the images can be used.
        """
        errors: dict[int, str] = {}
        encoder = self.encoder
        boxes = boxes_of(options.boxes, len(images))
        embeddings = encoder.embed(list(images), boxes, names=names, errors=errors)
        need_one(len(errors), len(images), list(errors.values()))
        self.figures.images.inc(len(images) - len(errors))
        items = [
            {"image": name, "error": errors[place]}
            if place in errors
            else {"image": name, "embedding": embeddings[place].tolist()}
            for place, name in enumerate(names)
        ]
        about = {"fingerprint": encoder.fingerprint, "precision": encoder.precision, "dimensions": encoder.size}
        return about | {"items": items}

    def explain(self, image: bytes, name: str, options: ExplainOptions) -> dict[str, Any]:
        """Why an image is similar to an enrolled one.

        Args:
            image: A file, its bytes.
            name: Of it.
            options: Which enrolled image.

        Raises:
            ImageError: It cannot be used.
            GalleryError: There is no such enrolled image.
        """
        parts = boxes_of([options.box], 1)
        made = self.gallery.explain(image, options.number, box=parts[0] if parts else None, name=name)
        self.figures.images.inc()
        pictures = [jpeg_of(picture) for picture in map(made.heat, (0, 1)) if picture is not None]
        encoded = [base64.b64encode(picture).decode() for picture in pictures]
        return {**made.to_dict(), "number": options.number, "note": made.note, "pictures": encoded}

    def search(self, options: SearchOptions) -> dict[str, Any]:
        """The nearest of embeddings.

        Args:
            options: What is searched.

        Raises:
            GalleryError: More neighbours than an answer holds; and as `Gallery.search`.
        """
        gallery, rows = self.gallery, len(options.embeddings)
        if rows * options.k > MOST_NEIGHBOURS:
            raise GalleryError(
                f"embeddings: expected at most {MOST_NEIGHBOURS} neighbours in one answer, asked for {rows} x "
                f"k={options.k}: send at most {MOST_NEIGHBOURS // options.k} embeddings at a time, or give a smaller k"
            ).naming("too_many_neighbours", most=MOST_NEIGHBOURS)
        widths = {len(row) for row in options.embeddings}
        if len(widths) > 1:
            raise GalleryError(f"embeddings: expected rows of one length, got {sorted(widths)}: send whole ones")
        embeddings = np.array(options.embeddings, np.float64)
        zero = np.abs(embeddings).max(axis=1, initial=0) < np.finfo(np.float32).tiny
        if zero.any() and embeddings.shape[1] == self.encoder.size:  # else the gallery says what is wrong
            raise GalleryError(f"embeddings: row {int(np.argmax(zero))} is zero, expected a direction: leave it out")
        near = gallery.neighbours(
            embeddings, options.k, where=options.where, unless=options.unless, index=options.index
        )
        items = [{"neighbours": [neighbour.to_dict() for neighbour in row]} for row in near]
        _tell_cameras(gallery, [neighbour for item in items for neighbour in item["neighbours"]])
        return {"items": items}

    def preview(self, image: bytes, name: str) -> bytes:
        """A picture of an image as a browser shows it, JPEG, whatever format it has.

        Args:
            image: A file, its bytes.
            name: Of it, for errors.

        Raises:
            ImageError: It cannot be used.
        """
        return thumbnail(image, _PREVIEW, None, name)


def _tell_cameras(gallery: Gallery, neighbours: list[dict[str, Any]]) -> None:
    cameras = gallery.cameras(np.array([neighbour["number"] for neighbour in neighbours], np.int64))
    for neighbour, camera in zip(neighbours, cameras, strict=True):
        if camera is not None:
            neighbour["camera"] = camera


def _named(gallery: Gallery, made: Predictions, upload: Upload) -> Predictions:
    """With what the client calls its images, and the truth where a folder of it is a label here."""
    labels = set(gallery.references.labels) if any(upload.folders) else set()
    items = []
    for item, name, folder in zip(made, upload.names, upload.folders, strict=True):
        error = None if item.error is None else f"{name}: {item.error.removeprefix(f'{item.image}: ')}"
        truth = as_label(folder) if error is None and as_label(folder) in labels else None
        items.append(replace(item, image=name, truth=truth, error=error))
    return replace(made, items=tuple(items))


def boxes_of(boxes: Sequence[Sequence[float] | None] | None, images: int) -> list[Box | None] | None:
    """Parts of images as the gallery takes them.

    Args:
        boxes: As they were sent, one each; None for whole images.
        images: How many there are.

    Raises:
        GalleryError: Of another number.
    """
    if boxes is None:
        return None
    if len(boxes) != images:
        raise GalleryError(f"boxes: expected one for each of {images} images, got {len(boxes)}: null for a whole image")
    return [None if box is None else (box[0], box[1], box[2], box[3]) for box in boxes]


def need_one(failed: int, count: int, errors: list[str]) -> None:
    """Refuses images of which none can be used.

    Args:
        failed: How many cannot.
        count: Of how many.
        errors: Why.
    """
    if failed == count:
        raise ImageError(errors[0] if count == 1 else f"none of {count} images can be used; first: {errors[0]}")
