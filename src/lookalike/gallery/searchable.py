"""Enrolled images that are searched and asked: those of a gallery, as they are or as they were.

Letters in shapes: Q queries, D embedding, K neighbours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from lookalike.data.any_image import AnyImage
from lookalike.gallery.approximate import KIND, ApproximateSearch, Kind
from lookalike.gallery.columns import Filter, left_out, nothing_left
from lookalike.gallery.enrolled import Enrolled, HasEncoder
from lookalike.gallery.health import Health, health_of
from lookalike.gallery.originals import originals
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.unknown_limit import UnknownLimits
from lookalike.gallery.voting import vote_within
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.encoder import Box
from lookalike.inference.explained import KnownImage
from lookalike.inference.explaining import explainer_of
from lookalike.inference.explanation import Explanation
from lookalike.inference.neighbour import Neighbour
from lookalike.inference.predict import Prediction, Predictions, neighbours_of, predict
from lookalike.inference.queries import with_folders
from lookalike.inference.references import GalleryError, References, checked_k
from lookalike.inference.rejection import Rejection, RejectionError, checked_threshold
from lookalike.inference.search_facts import IndexFacts


class Searchable(Enrolled):
    """Enrolled images that can be searched and asked; made as `Enrolled`."""

    def __init__(
        self, path: Path | str, model: HasEncoder | None, store: SqlStore, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(path, model, store, options)
        self._approximate = ApproximateSearch(str(path))
        self._limits = UnknownLimits()
        self._voting: tuple[References, VoteConfig] | None = None

    @overload
    def predict(  # type: ignore[overload-overlap]  # text is a path, never an iterable of images
        self,
        images: AnyImage,
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        images: Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> Predictions: ...

    def predict(
        self,
        images: AnyImage | Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> Prediction | Predictions:
        """Names images by their k nearest enrolled ones.

        Args:
            images: One image or several; a folder stands for the images in it, sorted.
            k: Neighbours, each with one vote; all of them in a smaller gallery. None for ten, of which vote as names
                most enrolled images rightly.
            threshold: Similarity that the nearest must exceed, else the label is `unknown`; None for no limit.
            false_accept_rate: In place of a threshold, the share of unknown images that may get a name: the threshold
                is chosen from what is enrolled, see `unknown_limit`.
            where: Column -> the value, or values, of the images that are searched: `label`, `camera`, `source` or what
                was given to `add` as columns; all of several columns must fit.
            unless: Column -> the value, or values, of images that are left out.
            index: As of `search`; `Predictions.index` says how it was searched.

        Returns:
            A prediction for one image, `Predictions` for several and for a folder.

        Raises:
            GalleryError: The gallery is empty, filters leave nothing, or there is no such label or column.
            RejectionError: The threshold is no cosine similarity, the rate no share, or both are given.
            ImageError: A single image cannot be used; among several it gets a prediction with `error`.
        """
        listed, alone = with_folders(images, "predict")
        made = self.predict_images(
            listed,
            k,
            threshold=threshold,
            false_accept_rate=false_accept_rate,
            where=where,
            unless=unless,
            index=index,
            strict=alone,
        )
        return made[0] if alone else made

    def predict_images(
        self,
        images: Sequence[AnyImage],
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
        boxes: Sequence[Box | None] | None = None,
        base: Path | None = None,
        strict: bool = False,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Predictions:
        """As `predict`, for a list of images, parts of them too.

        Args:
            images: Files, arrays or pictures.
            k: As of `predict`.
            threshold: As of `predict`.
            false_accept_rate: As of `predict`.
            where: As of `predict`.
            unless: As of `predict`.
            index: As of `predict`.
            boxes: Per image the part of it that is used, None for the whole.
            base: The folder that was asked for, whose folders may be labels.
            strict: Raise for an image that cannot be used.
            progress: Called with the number of images done since the last call.
        """
        references, _, ignore, most = self._asked(1 if k is None else k, where, unless)
        vote = self._vote(references) if k is None else None
        return predict(
            self.encoder,
            references,
            images,
            None if k is None else most,
            source=str(self.path),
            vote_by=vote,
            rejection=self._limit(threshold, false_accept_rate),
            progress=progress,
            strict=strict,
            base=base,
            boxes=boxes,
            ignore=ignore,
            search=lambda embeddings, most: self._approximate.search(references, embeddings, most, ignore, index),
        )

    def search(
        self,
        embeddings: np.ndarray,
        k: int = 10,
        *,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest enrolled images of each embedding, exactly unless asked otherwise.

        Args:
            embeddings: float32 [Q, D], unit length, made by the model of the gallery, which is not loaded for that.
            k: K; all images in a smaller gallery, or where filters leave fewer.
            where: As of `predict`.
            unless: As of `predict`.
            index: `ivf` for an approximate search of at least 10,000 images, without filters. It is built beside the
                exact search, which answers until then and again after every change, see `build_index`; `index` says
                how good it is.

        Returns:
            int64 [Q, K] numbers of images, and float32 [Q, K] cosine similarities, nearest first.

        Raises:
            GalleryError: The gallery is empty, k is below 1, or embeddings are of another size or not finite.
        """
        references, numbers, ignore, k = self._asked(k, where, unless)
        rows, similarity, _ = self._approximate.search(references, embeddings, k, ignore, index)
        return numbers[rows], similarity

    def neighbours(
        self,
        embeddings: np.ndarray,
        k: int = 10,
        *,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> list[tuple[Neighbour, ...]]:
        """Q rows of K neighbours, nearest first: as `search`, with what is known of the images.

        Args:
            embeddings: As of `search`.
            k: As of `search`.
            where: As of `predict`.
            unless: As of `predict`.
            index: As of `search`.

        Raises:
            GalleryError: As `search`.
        """
        references, _, ignore, k = self._asked(k, where, unless)
        rows, similarity, _ = self._approximate.search(references, embeddings, k, ignore, index)
        return [neighbours_of(references, rows[place], similarity[place]) for place in range(len(rows))]

    def known_images(self, neighbours: Sequence[Neighbour]) -> list[KnownImage]:
        """What is left of enrolled images: their files where these still show the same, else their small pictures.

        Args:
            neighbours: Of a prediction of this gallery.
        """
        return originals(self._store, [neighbour.number or 0 for neighbour in neighbours])

    def explain(self, image: AnyImage, number: int, *, box: Box | None = None, name: str | None = None) -> Explanation:
        """Which regions of an image and of an enrolled one make them alike.

        The enrolled one is its file where that still shows the same, else the small picture that is kept.

        Args:
            image: What `Model.embed` takes.
            number: Of the enrolled image.
            box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes: only this part is used.
            name: What the image is called; None for its path.

        Raises:
            GalleryError: The gallery is empty, or there is no such image.
            ImageError: An image cannot be used.
        """
        references, numbers = self.enrolled()
        rows = np.flatnonzero(numbers == number)
        if not len(rows):
            text = f"{self.path}: has no image {number}: predictions and gallery list tell the numbers of images"
            raise GalleryError(text).naming("no_image", image=str(number))
        other, explainer = originals(self._store, [number])[0], explainer_of(self.encoder)
        query = explainer.seen(self.encoder, image, box, name)
        similarity = float(query.embedding @ references.embeddings[rows[0]].astype(np.float64))
        enrolled = explainer.seen(self.encoder, other.image, other.box, references.paths[rows[0]])
        made_in = references.precision or self.encoder.precision
        return explainer.explain(query, enrolled, similarity, made_in, other.small)

    def build_index(self, index: Kind = KIND) -> IndexFacts | None:
        """Builds the approximate index of what is enrolled now and waits for it.

        Args:
            index: `ivf`.

        Returns:
            What is known of it; None where there are fewer than 10,000 images, which are searched exactly.

        Raises:
            GalleryError: The gallery is empty, or there is no such index.
        """
        return self._approximate.build(self.enrolled()[0], index)

    @property
    def index(self) -> IndexFacts | None:
        """What is known of the approximate index; None where none was asked for, or it is not built yet."""
        return self._approximate.facts

    def health(self) -> Health:
        """What should be looked at: labels with few images, and images that their neighbours call otherwise.

        Raises:
            GalleryError: The gallery is empty.
        """
        return health_of(*self.enrolled(), self._store.confirmed())

    def unknown_limit(self, false_accept_rate: float) -> Rejection:
        """The threshold that keeps to a share of unknown images that may get a name, chosen from what is enrolled.

        Every image asks as if no image of its label were there, over at most 2,000 of them.

        Args:
            false_accept_rate: The share, above 0 and below 1.

        Raises:
            RejectionError: No such share.
            GalleryError: There are fewer than two labels.
        """
        references, _ = self.enrolled()
        return self._limits.limit(references, false_accept_rate, getattr(self.model, "labels", ()))

    def _limit(self, threshold: float | None, rate: float | None) -> Rejection | None:
        if threshold is not None and rate is not None:
            raise RejectionError(
                f"threshold={threshold} and false_accept_rate={rate}: expected one of them: leave one out"
            )
        if rate is not None:
            return self.unknown_limit(rate)
        return None if threshold is None else Rejection(checked_threshold(threshold))

    def _asked(
        self, k: int, where: Filter | None, unless: Filter | None
    ) -> tuple[References, np.ndarray, np.ndarray | None, int]:
        """What is searched: all images, their numbers, which are left out, and K."""
        k, (references, numbers) = checked_k(k), self.enrolled()
        ignore = self._left_out(references, numbers, where, unless)
        left = len(references) if ignore is None else int(np.count_nonzero(~ignore))
        return references, numbers, ignore, min(k, left)

    def _left_out(
        self, references: References, numbers: np.ndarray, where: Filter | None, unless: Filter | None
    ) -> np.ndarray | None:
        ignore = left_out(self._store, numbers, references.labels, where, unless)
        if ignore is not None and ignore.all():
            raise GalleryError(f"{self.path}: {nothing_left(self._store, numbers, references.labels, where, unless)}")
        return ignore

    def _vote(self, references: References) -> VoteConfig:
        """Chosen again when its images changed."""
        if self._voting is None or self._voting[0] is not references:
            self._voting = references, vote_within(references)
        return self._voting[1]
