"""What a service does with a gallery, as plain values: called by its threads, knows nothing of HTTP."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

from lookalike import __version__
from lookalike.data.labels import as_label
from lookalike.gallery.gallery import Gallery
from lookalike.inference.references import GalleryError, References
from lookalike.serving.figures import Figures
from lookalike.serving.kept_figures import USUAL, KeepLimits
from lookalike.serving.naming import Naming, boxes_of, need_one
from lookalike.serving.options import (
    AddOptions,
    ConfirmOptions,
    DiscardUnknownOptions,
    EnrolUnknownOptions,
    ImagesOptions,
    MergeOptions,
    MoveOptions,
    RemoveOptions,
    RenameOptions,
    UndoOptions,
)
from lookalike.serving.work import BusyError

_Result = TypeVar("_Result")
_DAYS = 60  # of which the page is told
_DOUBTS = 60


class Service(Naming):
    """A gallery, open, and its model.

    Attributes:
        keeps_unknown: Whether it has a folder for unknown images.
        places: Where it and that folder are, and what clients are told instead.

    Args:
        gallery: Open; it is closed by `close`.
        figures: What is counted.
        unknown: Folder of kept unknown images; None for the gallery's own.
        limits: Of kept unknown images.
    """

    def __init__(
        self, gallery: Gallery, figures: Figures, unknown: Path | None = None, limits: KeepLimits = USUAL
    ) -> None:
        super().__init__(gallery, figures, unknown, limits)
        self.keeps_unknown = bool(isinstance(gallery.path, Path) or unknown)
        self.places = ((gallery.path, gallery.name), (unknown, "the folder of unknown images"))
        self._health: tuple[ref[References], dict[str, Any]] | None = None

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
        if self.keeps_unknown:
            held = self.unknowns.held(self.gallery)
            self.figures.kept_images.set(held.images)
            self.figures.kept_bytes.set(held.bytes)
        return len(references)

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
            "index": None if gallery.index is None else gallery.index.to_dict(),
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
        return {"total": total, "items": [vars(image) for image in shown]}

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
                    "images": sum(move.images for move in change.moves) + change.described,
                    "described": change.described,
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
                    boxes=boxes_of(options.boxes, len(images)),
                    sources=list(names),
                    note=options.note,
                    keep_copies=options.keep_copies,
                    errors=None if options.all_or_nothing else errors,
                )
            except GalleryError:
                need_one(len(errors), len(images), list(errors.values()))
                raise

        numbers, change = self._changed(gallery, "add", enrol)
        self.figures.images.inc(len(images) - len(errors))
        unusable = [{"place": place, "image": names[place], "error": text} for place, text in errors.items()]
        more = {"numbers": numbers, "errors": unusable, "notes": gallery.alike(options.labels or [str(options.label)])}
        counts = {"images": gallery.last_added, "described": gallery.last_described}
        return {"change": change, **counts, **more}

    def rename(self, options: RenameOptions) -> dict[str, Any]:
        """Gives a label another name."""
        return self._count("rename", lambda gallery: gallery.rename(options.label, options.to, note=options.note))

    def merge(self, options: MergeOptions) -> dict[str, Any]:
        """Makes several labels one."""
        return self._count("merge", lambda gallery: gallery.merge(options.labels, options.to, note=options.note))

    def move(self, options: MoveOptions) -> dict[str, Any]:
        """Gives single images another label."""
        return self._count("move", lambda gallery: gallery.move(options.image, options.to, note=options.note))

    def confirm(self, options: ConfirmOptions) -> dict[str, Any]:
        """Says that the labels of single images are right."""
        return self._count("confirm", lambda gallery: gallery.confirm(options.image, note=options.note))

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
        days = [dict(zip(names, day, strict=True)) for day in self._days.days()[-_DAYS:]]
        return {**self._looked_at(), "days": days, "kept": vars(self.unknowns.figures(self.gallery))}

    def _looked_at(self) -> dict[str, Any]:
        """What depends on the gallery alone, found once for each state of it."""
        gallery = self.gallery
        references, _ = gallery.enrolled()
        if (kept := self._health) is not None and kept[0]() is references:
            return kept[1]
        health = gallery.health()
        answer = {
            "images": health.images,
            "asked": health.asked,
            "few": _counted(health.few, references),
            "doubts": [vars(doubt) for doubt in health.doubts[:_DOUBTS]],
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


def _counted(counts: dict[str, int], references: References) -> list[dict[str, Any]]:
    """Labels with their counts, each with the number of its first image; one that went meanwhile is left out."""
    assert references.numbers is not None, "a gallery numbers its images"
    first = dict(zip(reversed(references.labels), reversed(references.numbers.tolist()), strict=True))
    return [
        {"label": label, "images": count, "number": first[label]} for label, count in counts.items() if label in first
    ]
