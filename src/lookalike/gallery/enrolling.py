"""What enrols: images in any form, or embeddings that were made elsewhere."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import local

import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage, name_of
from lookalike.data.labels import alike, alike_note, as_label
from lookalike.data.thumbnail import thumbnail
from lookalike.files import readable
from lookalike.gallery.columns import Value
from lookalike.gallery.editing import Editable
from lookalike.gallery.enrolment import (
    THUMBNAIL,
    as_new_label,
    as_note,
    facts_for,
    labels_for,
    need_one_each,
    none_added,
    spread,
    under_other_labels,
    unit_embeddings,
    with_boxes,
)
from lookalike.gallery.rows import OtherLabelError, Row
from lookalike.gallery.sources import source_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.encoder import Box
from lookalike.inference.references import GalleryError
from lookalike.terminal import counted


class Enrolling(Editable):
    """Enrolled images, to which others are added."""

    _of_thread: local

    @property
    def last_added(self) -> int:
        """How many images this thread's last `add`, `add_embeddings` or `import_from` enrolled that were not there."""
        return int(getattr(self._of_thread, "added", 0))

    @property
    def last_described(self) -> int:
        """How many images of this thread's last such call were there, and have another camera or other columns now."""
        return int(getattr(self._of_thread, "described", 0))

    def add(
        self,
        images: AnyImage | Iterable[AnyImage],
        labels: str | Iterable[str] | None = None,
        *,
        camera: int | Iterable[int | None] | None = None,
        columns: Mapping[str, Value | Sequence[Value]] | None = None,
        boxes: Sequence[Box | None] | None = None,
        sources: Sequence[str] | None = None,
        note: str = "",
        keep_copies: bool = False,
        errors: dict[int, str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[int]:
        """Enrols images, all of them or none; one that is there already under the same label stays there once.

        What is given of such an image is set: its camera and columns are those of the last call that named them, and
        `undo` brings back what they were. Columns that are not given stay.

        Args:
            images: One or several: files, folders of images, bytes, uint8 arrays or pictures of Pillow.
            labels: One for all, or one each; None for the name of each file's folder.
            camera: The number of what took them; one for all, or one each.
            columns: What else is known of them, to filter by: name -> one value for all, or one each.
            boxes: Per image the part of it that is enrolled, x1, y1, x2, y2 in pixels of the upright image; None for
                the whole.
            sources: Where each came from, a text each, which also names it in errors; None for its path, or `image 1`
                for one that has none.
            note: Why, for the history.
            keep_copies: Enrol images once more that are there already, under whatever label: each of them votes.
            errors: When given, an unusable image is noted here (index -> reason), gets the number 0, and the rest are
                enrolled.
            progress: Called with the number of images done since the last call.

        Returns:
            The number of each image, which `remove` takes; that of an earlier call for one that was there.

        Raises:
            GalleryError: Labels are missing or of another number than the images, images cannot be used or are there
                under another label, a camera is no whole number, or a column no plain value.
        """
        store = self._store  # that of the model which embeds: another thread may move the gallery to another one
        given = spread(images)
        facts = facts_for(labels_for(given, labels), camera, columns)
        note = as_note(note)
        parts: Sequence[Box | None] = [None] * len(given) if boxes is None else boxes
        origins = [source_of(image, place) for place, image in enumerate(given)] if sources is None else sources
        need_one_each(len(given), boxes=parts, sources=origins)
        facts = with_boxes(facts, parts)
        broken: dict[int, str] = {}
        names = [name_of(image, place) for place, image in enumerate(given)] if sources is None else sources
        embeddings = self.encoder.embed(given, boxes, names=names, errors=broken, progress=progress)
        if errors is not None:
            errors.update(broken)
        if broken and (errors is None or len(broken) == len(given)):
            raise none_added(list(broken.values()), len(given))
        good = [place for place in range(len(given)) if place not in broken]
        unit = dict(zip(good, unit_embeddings(embeddings[good], self.encoder.size), strict=True))
        rows = [
            facts[place].row(
                readable(origins[place]),
                thumbnail(given[place], THUMBNAIL, parts[place], names[place]),
                unit[place].tobytes(),
            )
            for place in good
        ]
        numbers = dict(zip(good, self._enrol(store, rows, note, keep_copies), strict=True))
        return [numbers.get(place, 0) for place in range(len(given))]

    def add_embeddings(
        self,
        embeddings: np.ndarray,
        labels: str | Iterable[str],
        *,
        sources: Iterable[str] | None = None,
        thumbnails: Iterable[bytes] | None = None,
        camera: int | Iterable[int | None] | None = None,
        columns: Mapping[str, Value | Sequence[Value]] | None = None,
        note: str = "",
        keep_copies: bool = False,
    ) -> list[int]:
        """Enrols images by their embeddings, all of them or none; otherwise as `add`.

        Args:
            embeddings: float32 [N, D], made by the model of the gallery; of any length but zero.
            labels: One for all, or N.
            sources: N texts, where the images came from; None for `image 1` and so on.
            thumbnails: N small JPEGs, empty where there is none; None for none.
            camera: As of `add`.
            columns: As of `add`.
            note: Why, for the history.
            keep_copies: As of `add`.

        Returns:
            The number of each image.

        Raises:
            GalleryError: Embeddings of another size, not finite or zero; numbers that differ; and as of `add`.
        """
        store = self._store
        unit = unit_embeddings(embeddings, int(store.about["dimensions"]))
        count = len(unit)
        names = [labels] * count if isinstance(labels, str) else list(labels)
        places = [f"image {place + 1}" for place in range(count)] if sources is None else list(map(str, sources))
        pictures = [b""] * count if thumbnails is None else list(thumbnails)
        need_one_each(count, labels=names, sources=places, thumbnails=pictures)
        checked = {name: as_new_label(name) for name in dict.fromkeys(names)}
        facts = facts_for([checked[name] for name in names], camera, columns)
        parts = zip(facts, places, pictures, unit, strict=True)
        rows = [fact.row(readable(place), jpeg, embedding.tobytes()) for fact, place, jpeg, embedding in parts]
        return self._enrol(store, rows, as_note(note), keep_copies)

    def _enrol(self, store: SqlStore, rows: list[Row], note: str, keep_copies: bool) -> list[int]:
        self._of_thread.added = self._of_thread.described = 0
        names = {row.label for row in rows}
        held = store.labels_among(names)
        try:
            numbers, added, described = (
                (store.add(rows, note), len(rows), 0) if keep_copies else store.add_new(rows, note)
            )
        except OtherLabelError as error:
            label = error.others[0][1]
            text = under_other_labels(error.others, len(rows))
            raise GalleryError(text).naming("other_label", label=label, images=len(error.others)) from error
        self._of_thread.added, self._of_thread.described = added, described
        if added < len(rows):
            there = len(rows) - added
            again = "is there already and was" if there == 1 else "are there already and were"
            new = f"; {described} of them {'has' if described == 1 else 'have'} another camera or other columns now"
            say(
                f"{self.path}: {there} of {counted(len(rows), 'image')} {again} not added again"
                f"{new if described else ''}"
            )
        for text in self.alike(names - held):  # the others were compared when they came
            say(f"{self.path}: {text}")
        return numbers

    def alike(self, labels: Collection[str]) -> list[str]:
        """What is to be said of labels that differ from others here only in blanks, case or the like.

        Args:
            labels: That were enrolled.
        """
        if not labels:
            return []
        written = {as_label(label) for label in labels}
        near = [label for group in alike(self._store.labels) if set(group) & written for label in group]
        return alike_note(near)
