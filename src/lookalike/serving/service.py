"""What a service does with a gallery, as plain values: called by its threads, knows nothing of HTTP."""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

import numpy as np
from PIL import Image

from lookalike import __version__
from lookalike.data.images import ImageError
from lookalike.data.labels import as_label
from lookalike.errors import LookalikeError
from lookalike.gallery.gallery import Gallery
from lookalike.gallery.health import health_of
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Predictions
from lookalike.inference.references import GalleryError, References
from lookalike.serving.answers import (
    MOST_NEIGHBOURS,
    AddOptions,
    DiscardUnknownOptions,
    EnrolUnknownOptions,
    ImagesOptions,
    MergeOptions,
    MoveOptions,
    PredictOptions,
    RemoveOptions,
    RenameOptions,
    SearchOptions,
    UndoOptions,
)
from lookalike.serving.day_counts import DayCounts
from lookalike.serving.figures import Figures
from lookalike.serving.kept_open import KeptOpen
from lookalike.serving.unknowns import Unknowns
from lookalike.serving.uploads import Upload
from lookalike.serving.work import BusyError

_Result = TypeVar("_Result")
_DAYS = 60  # of which the page is told
_DOUBTS = 60
_USUAL_RATE = 0.05  # of false acceptance, that the page asks with


class Service:
    """A gallery, open, and its model.

    Attributes:
        figures: What is counted.
        kept: The gallery.
        keeps_unknown: Whether it has a folder for unknown images.
        places: Where it and that folder are, and what clients are told instead.
        unknowns: That are kept there.

    Args:
        gallery: Open; it is closed by `close`.
        figures: What is counted.
        unknown: Folder of kept unknown images; None for the gallery's own.
    """

    def __init__(self, gallery: Gallery, figures: Figures, unknown: Path | None = None) -> None:
        self.figures, self._unknown = figures, unknown
        folder = gallery.path if isinstance(gallery.path, Path) else None
        self.keeps_unknown = bool(folder or unknown)
        self.kept = KeptOpen(gallery)
        self.unknowns = Unknowns(lambda: self.gallery, unknown)
        self.places = ((gallery.path, gallery.name), (unknown, "the folder of unknown images"))
        self._warm = False
        self._health: tuple[ref[References], dict[str, Any]] | None = None
        self._days = DayCounts(folder / "days.json" if folder else None)

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

    def ready(self) -> int:
        """How many images there are.

        Raises:
            BusyError: It is not warm yet.
            StoreError: The gallery cannot be read.
        """
        if not self._warm:
            raise BusyError("it is being loaded: ask again in a second")
        references = self.gallery.references
        self.figures.enrolled.set(len(references))
        self.figures.labels.set(len(set(references.labels)))
        return len(references)

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
        )
        made = _named(gallery, made, upload)
        _need_one(len(made.failed), len(made), [item.error or "" for item in made.failed])
        answer = {**made.to_dict(), "bundle": gallery.name}
        _tell_cameras(gallery, [neighbour for item in answer["items"] for neighbour in item["neighbours"]])
        if options.keep_unknown:
            answer["kept"] = [path.name for path in gallery.keep_unknown(made, self._unknown)]
        self._count_asked(made)
        return answer

    def _count_asked(self, made: Predictions) -> None:
        """At the end, as what fails before may be asked again."""
        images, unknown = len(made) - len(made.failed), sum(item.unknown for item in made)
        self.figures.images.inc(images)
        self.figures.unknown.inc(unknown)
        if made.rejection is not None:
            self._days.add(images, unknown)

    def embed(self, images: Sequence[bytes], names: Sequence[str]) -> dict[str, Any]:
        """Embeddings of images.

        Args:
            images: Files, their bytes.
            names: Of each.

        Raises:
            ImageError: None of the images can be used.
        """
        errors: dict[int, str] = {}
        encoder = self.encoder
        embeddings = encoder.embed(list(images), names=names, errors=errors)
        _need_one(len(errors), len(images), list(errors.values()))
        self.figures.images.inc(len(images) - len(errors))
        items = [
            {"image": name, "error": errors[place]}
            if place in errors
            else {"image": name, "embedding": embeddings[place].tolist()}
            for place, name in enumerate(names)
        ]
        about = {"fingerprint": encoder.fingerprint, "precision": encoder.precision, "dimensions": encoder.size}
        return about | {"items": items}

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
            )
        widths = {len(row) for row in options.embeddings}
        if len(widths) > 1:
            raise GalleryError(f"embeddings: expected rows of one length, got {sorted(widths)}: send whole ones")
        embeddings = np.array(options.embeddings, np.float64)
        zero = np.abs(embeddings).max(axis=1, initial=0) < np.finfo(np.float32).tiny
        if zero.any() and embeddings.shape[1] == self.encoder.size:  # else the gallery says what is wrong
            raise GalleryError(f"embeddings: row {int(np.argmax(zero))} is zero, expected a direction: leave it out")
        near = gallery.neighbours(embeddings, options.k, where=options.where, unless=options.unless)
        items = [{"neighbours": [neighbour.to_dict() for neighbour in row]} for row in near]
        _tell_cameras(gallery, [neighbour for item in items for neighbour in item["neighbours"]])
        return {"items": items}

    def about(self) -> dict[str, Any]:
        """What the gallery is."""
        gallery = self.gallery
        model = dict(getattr(gallery.model, "about", {}))
        return {
            "name": gallery.name,
            "images": len(gallery),
            "labels": len(gallery.labels),
            "fingerprint": self.encoder.fingerprint,
            "dimensions": self.encoder.size,
            "gallery_version": gallery.version,
            "model": {name: value for name, value in model.items() if name not in ("bundle", "ckpt_path", "network")},
            "lookalike_version": __version__,
            "keeps_unknown": self.keeps_unknown,
            "unknown": self.unknowns.count(),
        }

    def labels(self) -> dict[str, Any]:
        """Each label with its count."""
        references = self.gallery.references
        return {"labels": _counted(dict(sorted(Counter(references.labels).items())), references)}

    def images(self, options: ImagesOptions) -> dict[str, Any]:
        """The images of a label.

        Args:
            options: Which.
        """
        gallery = self.gallery
        shown = gallery.images(options.label, first=options.first, most=options.most)
        total = gallery.references.labels.count(as_label(options.label))
        return {"total": total, "images": [vars(image) for image in shown]}

    def log(self, most: int, before: int | None = None) -> dict[str, Any]:
        """The latest changes.

        Args:
            most: How many.
            before: Only those with a smaller number.
        """
        changes = self.gallery.log(most, before=before)
        return {
            "changes": [
                {
                    "number": change.number,
                    "time": change.time,
                    "action": change.action,
                    "note": change.note,
                    "text": str(change),
                    "images": sum(move.images for move in change.moves),
                    "forgotten": change.forgotten,
                    "moves": [vars(move) for move in change.moves],
                }
                for change in changes
            ]
        }

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of an image; empty where there is none."""
        return self.gallery.thumbnail(number)

    def add(self, images: Sequence[bytes], names: Sequence[str], options: AddOptions) -> dict[str, Any]:
        """Enrols images.

        Args:
            images: Files, their bytes.
            names: Of each.
            options: Their label and more.

        Raises:
            ImageError: None of the images can be used.
            LookalikeError: As `Gallery.add`.
        """
        gallery = self.gallery
        errors: dict[int, str] = {}

        def enrol() -> list[int]:
            try:
                return gallery.add(
                    list(images),
                    options.label if options.labels is None else options.labels,
                    camera=options.camera if options.cameras is None else options.cameras,
                    columns=options.columns,
                    sources=list(names),
                    note=options.note,
                    keep_copies=options.keep_copies,
                    errors=None if options.all_or_nothing else errors,
                )
            except GalleryError:
                _need_one(len(errors), len(images), list(errors.values()))
                raise

        numbers, change = self._changed(gallery, "add", enrol)
        self.figures.images.inc(len(images) - len(errors))
        unusable = [{"place": place, "image": names[place], "error": text} for place, text in errors.items()]
        more = {"numbers": numbers, "errors": unusable, "notes": gallery.alike(options.labels or [str(options.label)])}
        return {"change": change, "images": len(numbers) - len(errors), **more}

    def rename(self, options: RenameOptions) -> dict[str, Any]:
        """Gives a label another name."""
        return self._count("rename", lambda gallery: gallery.rename(options.label, options.to, note=options.note))

    def merge(self, options: MergeOptions) -> dict[str, Any]:
        """Makes several labels one."""
        return self._count("merge", lambda gallery: gallery.merge(options.labels, options.to, note=options.note))

    def move(self, options: MoveOptions) -> dict[str, Any]:
        """Gives single images another label."""
        return self._count("move", lambda gallery: gallery.move(options.images, options.to, note=options.note))

    def remove(self, options: RemoveOptions) -> dict[str, Any]:
        """Takes images out; `undo` brings them back."""
        return self._count("remove", lambda gallery: gallery.remove(**options.chosen()))

    def forget(self, options: RemoveOptions) -> dict[str, Any]:
        """Deletes images for good."""
        return self._count("forget", lambda gallery: gallery.forget(**options.chosen()))

    def undo(self, options: UndoOptions) -> dict[str, Any]:
        """Takes a change back."""
        return self._count("undo", lambda gallery: gallery.undo(options.change, note=options.note))

    def enrol_unknown(self, options: EnrolUnknownOptions) -> dict[str, Any]:
        """Enrols kept unknown images."""
        return self._count("add", lambda gallery: len(self.unknowns.enrol(gallery, options)))

    def discard_unknown(self, options: DiscardUnknownOptions) -> dict[str, Any]:
        """Deletes kept unknown images."""
        return {"change": None, "images": self.unknowns.discard(options)}

    def health(self) -> dict[str, Any]:
        """What should be looked at."""
        names = ("day", "images", "unknown")
        return {**self._looked_at(), "days": [dict(zip(names, day, strict=True)) for day in self._days.days()[-_DAYS:]]}

    def _looked_at(self) -> dict[str, Any]:
        """What depends on the gallery alone, found once for each state of it."""
        references, numbers = self.gallery.enrolled()
        if (kept := self._health) is not None and kept[0]() is references:
            return kept[1]
        health = health_of(references, numbers)
        answer = {
            "images": health.images,
            "looked_at": health.asked,
            "few": _counted(health.few, references),
            "wrong": [vars(doubt) for doubt in health.doubts[:_DOUBTS]],
        }
        self._health = ref(references), answer
        return answer

    def close(self) -> None:
        """Lets go of the gallery."""
        self._days.save()
        self.kept.close()

    def _count(self, action: str, change: Callable[[Gallery], int]) -> dict[str, Any]:
        gallery = self.gallery
        images, number = self._changed(gallery, action, lambda: change(gallery))
        return {"change": number, "images": images}

    def _changed(self, gallery: Gallery, action: str, change: Callable[[], _Result]) -> tuple[_Result, int | None]:
        result = change()
        number = gallery.last_change
        if number is not None:
            self.figures.changes.labels(action).inc()
        return result, number


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


def _counted(counts: dict[str, int], references: References) -> list[dict[str, Any]]:
    """Labels with their counts, each with the number of its first image."""
    assert references.numbers is not None, "a gallery numbers its images"
    first = dict(zip(reversed(references.labels), reversed(references.numbers.tolist()), strict=True))
    return [{"label": label, "images": count, "number": first[label]} for label, count in counts.items()]


def _need_one(failed: int, count: int, errors: list[str]) -> None:
    if failed == count:
        raise ImageError(errors[0] if count == 1 else f"none of {count} images can be used; first: {errors[0]}")
