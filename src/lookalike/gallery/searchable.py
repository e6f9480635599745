"""Images that can be searched and asked: those of a gallery, as they are or as they were.

Letters in shapes: Q queries, D embedding, K neighbours.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import overload

import numpy as np

from lookalike.data.any_image import AnyImage
from lookalike.data.thumbnail import picture
from lookalike.gallery.snapshot import references_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.voting import vote_within
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Prediction, Predictions, predict_any
from lookalike.inference.queries import with_folders
from lookalike.inference.references import GalleryError, References, checked_k
from lookalike.inference.rejection import Rejection, checked_threshold
from lookalike.pages import snippet

_LABELS_SHOWN = 12  # in a notebook


class Searchable(ABC):
    """Enrolled images of one moment or of now.

    Attributes:
        path: The folder of the gallery; of a shared one its address without the password.
        encoder: Embeds what is asked.
    """

    def __init__(self, path: Path | str, encoder: Encoder, store: SqlStore) -> None:
        self.path, self.encoder, self._store = path, encoder, store
        self._voting: tuple[References, VoteConfig] | None = None

    @abstractmethod
    def _snapshot(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64."""

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


class PastGallery(Searchable):
    """A gallery as it was after one of its changes; made by `Gallery.at`.

    Attributes:
        number: Of the change.
    """

    def __init__(self, path: Path | str, encoder: Encoder, store: SqlStore, number: int) -> None:
        super().__init__(path, encoder, store)
        self.number = number
        rows = store.rows_at(number)
        numbers = np.array([row.id for row in rows], np.int64)
        embeddings = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(len(rows), encoder.size)
        self._read = references_of(store, numbers, [row.label for row in rows], embeddings)

    def _snapshot(self) -> tuple[References, np.ndarray]:
        return self._read

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} after change {self.number})"
