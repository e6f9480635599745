"""Enrolled images, of one moment or of now: which there are, and what is known of them."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lookalike.console import say
from lookalike.data.labels import as_label
from lookalike.data.thumbnail import picture
from lookalike.gallery.columns import left_out
from lookalike.gallery.own_model import model_of
from lookalike.gallery.rows import EnrolledImage
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.stores import name_of
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError, References, need_same_fingerprint
from lookalike.pages import snippet
from lookalike.terminal import counted

_LABELS_SHOWN = 12  # in a notebook


class HasEncoder(Protocol):
    """What embeds for a gallery, such as `lookalike.Model`."""

    encoder: Encoder


class Enrolled(ABC):
    """Enrolled images of one moment or of now.

    Attributes:
        path: The folder of the gallery; of a shared one its address without the password.

    Args:
        path: As the attribute.
        model: Embeds; the gallery belongs to its fingerprint. None to load the gallery's own when it is needed.
        store: The rows.
        options: Device, precision and workers of its own model, see `Model.load`.

    Raises:
        GalleryError: The gallery was made by another model.
    """

    def __init__(
        self, path: Path | str, model: HasEncoder | None, store: SqlStore, options: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self._store, self._options = path, store, dict(options or {})
        self._model = model if model is None else self._own(model)

    @property
    def name(self) -> str:
        """Of its folder, or of the gallery on a server."""
        return name_of(self.path)

    @property
    def model(self) -> HasEncoder:
        """What embeds for it; its own is loaded when it is first needed.

        Raises:
            GalleryError: It does not say which, or that is not where it was.
        """
        if self._model is None:
            self._model = self._own(model_of(self._store.about.get("model"), self.path, self._options))
        return self._model

    @property
    def encoder(self) -> Encoder:
        """Embeds what is asked."""
        return self.model.encoder

    def _own(self, model: HasEncoder) -> HasEncoder:
        """The model, if it made the gallery."""
        about, encoder = self._store.about, model.encoder
        try:
            need_same_fingerprint(about["fingerprint"], encoder.fingerprint)
        except GalleryError as error:
            raise GalleryError(f"{self.path}: {error}") from error
        if about["precision"] != encoder.precision:
            say(
                f"{self.path}: made in {about['precision']}, the model runs in {encoder.precision}: similarities "
                "differ a little"
            )
        return model

    @abstractmethod
    def _snapshot(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64."""

    def enrolled(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64.

        Raises:
            GalleryError: There is none.
        """
        references, numbers = self._snapshot()
        if not len(references):
            text = f"{self.path}: is empty, so there is nothing to find: add images first"
            raise GalleryError(text).naming("empty")
        return references, numbers

    @property
    def version(self) -> int:
        """The number of its last change, by whichever process."""
        return self._store.version

    @property
    def references(self) -> References:
        """Its images as arrays, read again when they changed."""
        return self._snapshot()[0]

    @property
    def labels(self) -> dict[str, int]:
        """Label -> how many images it has, sorted."""
        return dict(sorted(Counter(self.references.labels).items()))

    def cameras(self, numbers: np.ndarray) -> list[int | None]:
        """What took these images, None where unknown.

        Args:
            numbers: Of them, int64.
        """
        return self._store.cameras(numbers.tolist())

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of an image, of a removed one too; empty where there is none."""
        return self._store.thumbnail(number)

    def images(self, label: str, *, first: int = 0, most: int | None = None) -> list[EnrolledImage]:
        """The images of a label, in the order they were enrolled.

        Args:
            label: As it is.
            first: How many are passed over.
            most: How many at most; None for all.

        Raises:
            GalleryError: There is no such label.
        """
        (references, numbers), store = self._snapshot(), self._store
        ignore = left_out(store, numbers, references.labels, {"label": label}, None)
        chosen = numbers[~np.asarray(ignore)][first : None if most is None else first + most].tolist()
        facts = zip(chosen, store.described(chosen), strict=True)
        return [EnrolledImage(image, as_label(label), *fact) for image, fact in facts]

    def __len__(self) -> int:
        return len(self.references)

    def __repr__(self) -> str:
        if self._store.closed:
            return f"Gallery({str(self.path)!r}: closed)"
        held = f"{counted(len(self), 'image')} of {counted(len(self.labels), 'label')}"
        return f"Gallery({str(self.path)!r}: {held})"

    def _repr_html_(self) -> str:
        """In a notebook: its first labels, with a picture of each."""
        references, counts = self.references, self.labels
        shown = list(counts)[:_LABELS_SHOWN]
        thumbnails = references.thumbnails or [b""] * len(references)
        pictures = []
        for label in shown:
            row = references.labels.index(label)
            pictures.append(picture(thumbnails[row], label, (counted(counts[label], "image"),)))
        more = f"; the first {len(shown)}" if len(shown) < len(counts) else ""
        return snippet(f"{self!r}{more}", pictures=[pictures])
