"""`Gallery`: images that are enrolled, renamed, moved, removed and searched without training, and a way back."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage, name_of
from lookalike.data.labels import alike, alike_note
from lookalike.data.thumbnail import thumbnail
from lookalike.errors import did_you_mean, listed
from lookalike.files import readable
from lookalike.gallery.enrolment import (
    as_label,
    as_note,
    labels_for,
    several,
    source_of,
    spread,
    under_other_labels,
    whole_number,
)
from lookalike.gallery.history import Change, Column
from lookalike.gallery.rows import OtherLabelError, Row
from lookalike.gallery.searchable import PastGallery, Searchable
from lookalike.gallery.snapshot import Snapshot
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.stores import create_store, open_store, shown_place
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError, References, need_same_fingerprint

_THUMBNAIL = 160  # pixels of both sides


class HasEncoder(Protocol):
    """What embeds for a gallery, such as `lookalike.Model`."""

    encoder: Encoder


class Gallery(Searchable):
    """Known images in a folder of their own: a class is added by enrolling images of it.

    Made by `Gallery.create` or `Gallery.open`. The original files are not needed afterwards. Every change is written
    whole or not at all; several processes may read while one writes. In a `with` block it is closed at the end.

    Args:
        path: The folder; of a shared gallery its address without the password.
        model: Embeds; the gallery belongs to its fingerprint.
        store: Its rows.

    Raises:
        GalleryError: The gallery was made by another model.
    """

    def __init__(self, path: Path | str, model: HasEncoder, store: SqlStore) -> None:
        try:
            need_same_fingerprint(store.about["fingerprint"], model.encoder.fingerprint)
        except GalleryError as error:
            store.close()
            raise GalleryError(f"{path}: {error}") from error
        if store.about["precision"] != model.encoder.precision:
            say(
                f"{path}: made in {store.about['precision']}, the model runs in {model.encoder.precision}: "
                "similarities differ a little"
            )
        super().__init__(path, model.encoder, store)
        self._model = model  # the files of a network without a bundle stay as long as it does
        self._rows = Snapshot(store)

    @classmethod
    def create(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Makes an empty gallery.

        Args:
            path: A new folder, or one without a gallery; or `postgresql://user:password@host/database?gallery=name`,
                for one that any number of computers share.
            model: What embeds its images.

        Raises:
            StoreError: A gallery is there already.
        """
        encoder = _encoder_of(model)
        about = {"fingerprint": encoder.fingerprint, "precision": encoder.precision, "dimensions": str(encoder.size)}
        return cls(shown_place(path), model, create_store(path, about))

    @classmethod
    def open(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Opens a gallery.

        Args:
            path: Its folder or its address.
            model: The one that made it.

        Raises:
            StoreError: There is none, or it cannot be read.
            GalleryError: Another model made it.
        """
        _encoder_of(model)
        return cls(shown_place(path), model, open_store(path))

    def add(
        self,
        images: AnyImage | Iterable[AnyImage],
        labels: str | Iterable[str] | None = None,
        *,
        camera: int | None = None,
        note: str = "",
        keep_copies: bool = False,
    ) -> list[int]:
        """Enrols images, all of them or none; one that is there already under the same label stays there once.

        Args:
            images: One or several: files, folders of images, bytes, uint8 arrays or pictures of Pillow.
            labels: One for all, or one each; None for the name of each file's folder.
            camera: The number of what took them.
            note: Why, for the history.
            keep_copies: Enrol images once more that are there already, under whatever label: each of them votes.

        Returns:
            The number of each image, which `remove` takes; that of an earlier call for one that was there.

        Raises:
            GalleryError: Labels are missing or of another number than the images, images cannot be used or are there
                under another label, or the camera is no whole number.
        """
        note, camera = as_note(note), None if camera is None else whole_number("camera", camera)
        sources = spread(images)
        names = labels_for(sources, labels)
        errors: dict[int, str] = {}
        embeddings = self.encoder.embed(sources, errors=errors)
        if errors:
            raise GalleryError(
                f"{len(errors)} of {len(sources)} images cannot be used, so none was added:\n  "
                f"{listed(list(errors.values()))}"
            )
        parts = zip(sources, names, embeddings.astype("<f4"), strict=True)
        rows = [
            Row(
                label,
                source_of(image, i),
                thumbnail(image, _THUMBNAIL, name=name_of(image, i)),
                embedding.tobytes(),
                camera,
            )
            for i, (image, label, embedding) in enumerate(parts)
        ]
        try:
            numbers, added = (
                (self._store.add(rows, note), len(rows)) if keep_copies else self._store.add_new(rows, note)
            )
        except OtherLabelError as error:
            raise GalleryError(under_other_labels(error.others, len(rows))) from error
        if added < len(rows):
            say(f"{self.path}: {len(rows) - added} of {len(rows)} images are there already and were not added again")
        near = [label for group in alike(self._store.labels) if set(group) & set(names) for label in group]
        for text in alike_note(near):
            say(f"{self.path}: {text}")
        return numbers

    def rename(self, label: str, new: str, *, note: str = "") -> int:
        """Gives a label another name.

        Args:
            label: As it is.
            new: As it shall be.
            note: Why, for the history.

        Returns:
            How many images have the new name now that had the old one.

        Raises:
            GalleryError: There is no such label, the new one is there already (see `merge`) or is empty.
        """
        label, new = as_label(label), as_label(new)
        renamed, taken = self._store.rename(label, new, as_note(note))
        if taken:
            raise GalleryError(
                f"{self.path}: rename: expected a label that is not there, found {new!r} with {taken} images: "
                f"merge([{label!r}], into={new!r}) makes them one, which undo takes back"
            )
        return renamed or self._refuse_label(label)

    def merge(self, labels: str | Iterable[str], into: str, *, note: str = "") -> int:
        """Makes several labels one.

        Args:
            labels: As they are.
            into: One of them, another label, or a new one.
            note: Why, for the history.

        Returns:
            How many images have the label now that had another one; told, too.

        Raises:
            GalleryError: There is no label, or no such one, or the new one is empty.
        """
        names = [as_label(name) for name in ([labels] if isinstance(labels, str) else labels)]
        if not names:
            raise GalleryError("merge: expected one label or several, got none: give those that shall be one")
        moved, missing = self._store.merge(list(dict.fromkeys(names)), as_label(into), as_note(note))
        if missing:
            return self._refuse_label(missing[0])
        say(f"{self.path}: {moved} images have the label {as_label(into)!r} now that had another")
        return moved

    def move(self, image: int | Iterable[int], label: str, *, note: str = "") -> int:
        """Gives single images another label, which may be new.

        Args:
            image: A number that `add` gave, or several: all of them or none.
            label: As they shall be called.
            note: Why, for the history.

        Returns:
            How many had another label.

        Raises:
            GalleryError: An image is not there, or the label is empty.
        """
        _, numbers = self._chosen("move", None, image, None)
        self._need_images("move", numbers)
        return self._store.move(numbers, as_label(label), as_note(note))

    def remove(
        self,
        *,
        label: str | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Removes the images of a label, images by their numbers, or those of one source; `undo` brings them back.

        Args:
            label: All images of it.
            image: A number that `add` gave, or several: all of them or none.
            source: The path that an image was enrolled from, or its name where it had none.
            note: Why, for the history.

        Returns:
            How many were removed.

        Raises:
            GalleryError: None or several of the three are given, or nothing matches.
        """
        column, values = self._chosen("remove", label, image, source)
        if column == "id":
            self._need_images("remove", values)
        removed = self._store.remove(column, values, as_note(note))
        return removed or self._refuse("remove", label, source)

    def forget(
        self,
        *,
        label: str | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Deletes images for good, removed ones too: nothing of them remains in any file, nor a way back.

        What the history says of them goes, too, and the notes of all changes that touched them.

        Args:
            label: All images of it, also those that had it when they were removed.
            image: A number that `add` gave, or several.
            source: The path that an image was enrolled from, or its name where it had none.
            note: Why, for the history; say no name in it.

        Returns:
            How many were deleted.

        Raises:
            GalleryError: None or several of the three are given, or nothing matches.
            StoreError: Another process reads the gallery, so that the bytes stay in its log until the next call.
        """
        column, values = self._chosen("forget", label, image, source)
        erased = self._store.erase()  # of an earlier call that found the gallery in use
        if column == "id" and not erased:
            self._need_images("forget", values, removed=True)
        forgotten = self._store.forget(column, values, as_note(note))
        if erased and not forgotten:
            say(f"{self.path}: what was forgotten earlier is in no file any more")
            return 0
        return forgotten or self._refuse("forget", label, source)

    def undo(self, change: int, *, note: str = "") -> int:
        """Takes a change back, as a change of its own, which can be undone as well.

        Args:
            change: Its number, as `log` tells it.
            note: Why, for the history.

        Returns:
            How many images it touched.

        Raises:
            HistoryError: There is no such change, its images were changed again since (undo that first), or nothing
                is known of what it did.
        """
        return self._store.undo(whole_number("change", change), as_note(note))

    def log(self, most: int | None = None) -> list[Change]:
        """The changes, the latest first.

        Args:
            most: How many at most; None for all.
        """
        return self._store.changes(most)

    def at(self, change: int) -> PastGallery:
        """The gallery as it was after a change: searched and asked, never changed.

        Args:
            change: Its number; 0 for before the first.

        Raises:
            HistoryError: There is no such change, or an earlier version made it.
        """
        return PastGallery(self.path, self.encoder, self._store, whole_number("change", change))

    def close(self) -> None:
        """Lets go of the file; the gallery can be opened again."""
        self._store.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _snapshot(self) -> tuple[References, np.ndarray]:
        return self._rows.current()

    def _chosen(
        self, verb: str, label: str | None, image: int | Iterable[int] | None, source: str | Path | None
    ) -> tuple[Column, list[str | int]]:
        """Which images are meant, by exactly one of the three."""
        if sum(value is not None for value in (label, image, source)) != 1:
            raise GalleryError(f"{verb}: expected one of label=, image= and source=: give exactly one")
        if label is not None:
            return "label", [as_label(label)]
        if source is not None:
            return "source", sorted({readable(str(source)), source_of(source, 0)})
        assert image is not None
        numbers = sorted({whole_number("image", number) for number in several(image)})
        if not numbers:
            raise _not_there(verb, [], self.path)
        return "id", list(numbers)

    def _need_images(self, verb: str, numbers: list[str | int], removed: bool = False) -> None:
        if missing := self._store.missing(numbers, removed):
            raise _not_there(verb, missing, self.path)

    def _refuse(self, verb: str, label: str | None, source: str | Path | None) -> int:
        if label is not None:
            return self._refuse_label(label)
        raise GalleryError(f"{verb}: source={source} is not in {self.path}: give the path it was enrolled from")

    def _refuse_label(self, label: str) -> int:
        labels = list(self.labels)
        raise GalleryError(f"{self.path}: has no label {label!r}{did_you_mean(label, labels)}")


def _encoder_of(model: HasEncoder) -> Encoder:
    if not hasattr(model, "encoder"):
        raise GalleryError(f"expected a model that embeds, got {model!r}: give Model.load(<bundle>)")
    return model.encoder


def _not_there(verb: str, numbers: Iterable[object], path: Path | str) -> GalleryError:
    shown = ", ".join(map(str, list(numbers)[:5])) or "nothing"
    return GalleryError(f"{verb}: image={shown} is not in {path}: see the numbers that add gave")
