"""`Gallery`: images that are enrolled, renamed, removed and searched without training.

Letters in shapes: Q queries, D embedding, K neighbours.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, overload

import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage, name_of
from lookalike.data.labels import alike, alike_note
from lookalike.data.thumbnail import picture, thumbnail
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
from lookalike.gallery.sqlite_store import OtherLabelError, Row, SqliteStore, Thumbnails
from lookalike.gallery.voting import vote_within
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Prediction, Predictions, predict_any
from lookalike.inference.queries import with_folders
from lookalike.inference.references import GalleryError, References, checked_k, need_same_fingerprint
from lookalike.inference.rejection import Rejection, checked_threshold
from lookalike.pages import snippet
from lookalike.settings.paths import path_of

_FILE = "gallery.sqlite"
_THUMBNAIL = 160  # pixels of both sides
_LABELS_SHOWN = 12  # in a notebook


class HasEncoder(Protocol):
    """What embeds for a gallery, such as `lookalike.Model`."""

    encoder: Encoder


class Gallery:
    """Known images in a folder of their own: a class is added by enrolling images of it.

    Made by `Gallery.create` or `Gallery.open`. The original files are not needed afterwards. Every change is written
    whole or not at all; several processes may read while one writes. In a `with` block it is closed at the end.

    Args:
        path: The folder.
        model: Embeds; the gallery belongs to its fingerprint.
        store: Its rows.

    Raises:
        GalleryError: The gallery was made by another model.
    """

    def __init__(self, path: Path, model: HasEncoder, store: SqliteStore) -> None:
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
        self.path, self.encoder, self._store = path, model.encoder, store
        self._model = model  # the files of a network without a bundle stay as long as it does
        self._version: tuple[int, int] | None = None
        self._read: tuple[References, np.ndarray] | None = None
        self._voting: tuple[References, VoteConfig] | None = None

    @classmethod
    def create(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Makes an empty gallery.

        Args:
            path: A new folder, or one without a gallery.
            model: What embeds its images.

        Raises:
            StoreError: A gallery is there already.
        """
        encoder = _encoder_of(model)
        about = {"fingerprint": encoder.fingerprint, "precision": encoder.precision, "dimensions": str(encoder.size)}
        folder = path_of(path, "Gallery.create")
        return cls(folder, model, SqliteStore.create(folder / _FILE, about))

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
        _encoder_of(model)
        folder = path_of(path, "Gallery.open")
        return cls(folder, model, SqliteStore(folder / _FILE))

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
                f"merge([{label!r}], into={new!r}) makes them one, for good"
            )
        return renamed or self._refuse_label(label)

    def merge(self, labels: str | Iterable[str], into: str, *, note: str = "") -> int:
        """Makes several labels one, for good.

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

    def remove(
        self,
        *,
        label: str | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Removes the images of a label, images by their numbers, or those of one source.

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
        if sum(value is not None for value in (label, image, source)) != 1:
            raise GalleryError("remove: expected one of label=, image= and source=: give exactly one")
        note = as_note(note)
        if label is not None:
            return self._store.remove("label", [as_label(label)], note) or self._refuse_label(label)
        if source is not None:
            removed = self._store.remove("source", list({readable(str(source)), source_of(source, 0)}), note)
            if not removed:
                raise GalleryError(f"remove: source={source} is not in {self.path}: give the path it was enrolled from")
            return removed
        assert image is not None
        numbers = {whole_number("image", number) for number in several(image)}
        missing = sorted(numbers - set(self._snapshot()[1].tolist()))
        if missing or not numbers:
            shown = ", ".join(map(str, missing[:5])) or "nothing"
            raise GalleryError(f"remove: image={shown} is not in {self.path}: see the numbers that add gave")
        return self._store.remove("id", sorted(numbers), note)

    @overload
    def predict(  # type: ignore[overload-overlap]  # text is a path, never an iterable of images
        self, images: AnyImage, k: int | None = None, *, threshold: float | None = None
    ) -> Prediction: ...

    @overload
    def predict(
        self, images: Iterable[AnyImage], k: int | None = None, *, threshold: float | None = None
    ) -> Predictions: ...

    def predict(
        self, images: AnyImage | Iterable[AnyImage], k: int | None = None, *, threshold: float | None = None
    ) -> Prediction | Predictions:
        """Names images by their k nearest enrolled ones.

        Args:
            images: One image or several; a folder stands for the images in it, sorted.
            k: Neighbours, each with one vote; all of them in a smaller gallery. None for ten, of which vote as names
                most enrolled images rightly.
            threshold: Similarity that the nearest must exceed, else the label is `unknown`; None for no limit.

        Returns:
            A prediction for one image, `Predictions` for several and for a folder.

        Raises:
            GalleryError: The gallery is empty.
            RejectionError: The threshold is no cosine similarity.
            ImageError: A single image cannot be used; among several it gets a prediction with `error`.
        """
        references, _ = self._filled()
        vote = self._vote(references) if k is None else None
        k = None if k is None else min(checked_k(k), len(references))
        limit = None if threshold is None else Rejection(checked_threshold(threshold))
        listed, alone = with_folders(images, "predict")
        asked = listed[0] if alone else listed
        return predict_any(self.encoder, references, asked, k, source=str(self.path), vote_by=vote, rejection=limit)

    def search(self, embeddings: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest enrolled images of each embedding, exactly.

        Args:
            embeddings: float32 [Q, D], unit length, made by the model of the gallery.
            k: K; all images in a smaller gallery.

        Returns:
            int64 [Q, K] numbers of images, and float32 [Q, K] cosine similarities, nearest first.

        Raises:
            GalleryError: The gallery is empty, k is below 1, or embeddings are of another size or not finite.
        """
        k = checked_k(k)
        references, numbers = self._filled()
        rows, similarity = references.search(embeddings, min(k, len(references)), self.encoder.fingerprint)
        return numbers[rows], similarity

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
        if self._store.closed:
            return f"Gallery({str(self.path)!r}: closed)"
        return f"Gallery({str(self.path)!r}: {len(self)} images of {len(self.labels)} labels)"

    def _repr_html_(self) -> str:
        """In a notebook: its first labels, with a picture of each."""
        references, counts = self.references, self.labels
        shown = list(counts)[:_LABELS_SHOWN]
        thumbnails = references.thumbnails or [b""] * len(references)
        pictures = []
        for label in shown:
            row = references.labels.index(label)
            pictures.append(picture(thumbnails[row], label, (f"{counts[label]} images",)))
        more = f"; the first {len(shown)}" if len(shown) < len(counts) else ""
        return snippet(f"{self!r}{more}", pictures=[pictures])

    def close(self) -> None:
        """Lets go of the file; the gallery can be opened again."""
        self._store.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _filled(self) -> tuple[References, np.ndarray]:
        references, numbers = self._snapshot()
        if not len(references):
            raise GalleryError(f"{self.path}: is empty, so there is nothing to find: add images first")
        return references, numbers

    def _vote(self, references: References) -> VoteConfig:
        """Chosen again when its images changed."""
        if self._voting is None or self._voting[0] is not references:
            self._voting = references, vote_within(references)
        return self._voting[1]

    def _snapshot(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64."""
        version = self._store.version
        if self._read is None or version != self._version:
            rows, about = self._store.rows(), self._store.about
            size = int(about["dimensions"])
            if any(len(row.embedding) != 4 * size for row in rows):
                raise GalleryError(f"{self.path}: damaged, an embedding has not {size} values: copy the gallery again")
            embeddings = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(len(rows), size)
            numbers = np.array([row.id for row in rows], np.int64)
            references = References(
                embeddings.astype(np.float32),
                [row.label for row in rows],
                [row.source for row in rows],
                Path(),
                about["fingerprint"],
                about["precision"],
                Thumbnails(self._store, numbers.tolist()),
            )
            self._read, self._version = (references, numbers), version
        return self._read

    def _refuse_label(self, label: str) -> int:
        labels = list(self.labels)
        raise GalleryError(f"{self.path}: has no label {label!r}{did_you_mean(label, labels)}")


def _encoder_of(model: HasEncoder) -> Encoder:
    if not hasattr(model, "encoder"):
        raise GalleryError(f"expected a model that embeds, got {model!r}: give Model.load(<bundle>)")
    return model.encoder
