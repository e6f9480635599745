"""Images that can be searched and asked: those of a gallery, as they are or as they were.

Letters in shapes: Q queries, D embedding, K neighbours.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage
from lookalike.data.labels import as_label
from lookalike.data.thumbnail import picture
from lookalike.gallery.approximate import ApproximateSearch, IndexFacts
from lookalike.gallery.columns import Filter, left_out
from lookalike.gallery.own_model import model_of
from lookalike.gallery.rows import EnrolledImage
from lookalike.gallery.snapshot import references_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.unknown_limit import limit_within
from lookalike.gallery.voting import vote_within
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.encoder import Box, Encoder
from lookalike.inference.predict import Neighbour, Prediction, Predictions, neighbours_of, predict
from lookalike.inference.queries import with_folders
from lookalike.inference.references import GalleryError, References, checked_k, need_same_fingerprint
from lookalike.inference.rejection import Rejection, RejectionError, checked_threshold
from lookalike.pages import snippet
from lookalike.terminal import counted

_LABELS_SHOWN = 12  # in a notebook


class HasEncoder(Protocol):
    """What embeds for a gallery, such as `lookalike.Model`."""

    encoder: Encoder


class Searchable(ABC):
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
        self._approximate = ApproximateSearch(str(path))
        self._limits: dict[float, tuple[References, Rejection]] = {}
        self._voting: tuple[References, VoteConfig] | None = None

    @property
    def name(self) -> str:
        """Of its folder, or of the gallery on a server."""
        return self.path.resolve().name if isinstance(self.path, Path) else self.path.rpartition("=")[2]

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
            boxes: Per image the part of it that is used, None for the whole.
            base: The folder that was asked for, whose folders may be labels.
            strict: Raise for an image that cannot be used.
            progress: Called with the number of images done since the last call.
        """
        references, numbers = self.enrolled()
        ignore = self._left_out(references, numbers, where, unless)
        vote = self._vote(references) if k is None else None
        left = len(references) if ignore is None else int(np.count_nonzero(~ignore))
        return predict(
            self.encoder,
            references,
            images,
            k if k is None else min(checked_k(k), left),
            source=str(self.path),
            vote_by=vote,
            rejection=self._limit(threshold, false_accept_rate),
            progress=progress,
            strict=strict,
            base=base,
            boxes=boxes,
            ignore=ignore,
        )

    def search(
        self,
        embeddings: np.ndarray,
        k: int = 10,
        *,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Literal["ivf"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest enrolled images of each embedding, exactly unless asked otherwise.

        Args:
            embeddings: float32 [Q, D], unit length, made by the model of the gallery.
            k: K; all images in a smaller gallery, or where filters leave fewer.
            where: As of `predict`.
            unless: As of `predict`.
            index: `ivf` for an approximate search of at least 10,000 images, without filters. It is built beside the
                exact search, which answers until then and again after every change; `index` says how good it is.

        Returns:
            int64 [Q, K] numbers of images, and float32 [Q, K] cosine similarities, nearest first.

        Raises:
            GalleryError: The gallery is empty, k is below 1, or embeddings are of another size or not finite.
        """
        k = checked_k(k)
        references, numbers = self.enrolled()
        ignore = self._left_out(references, numbers, where, unless)
        left = len(references) if ignore is None else int(np.count_nonzero(~ignore))
        if index is not None and ignore is None and (built := self._approximate.over(references, index)):
            query = references.as_query(embeddings, self.encoder.fingerprint)
            if (near := built.search(query, min(k, left))) is not None:
                return numbers[near[0]], near[1]
        rows, similarity = references.search(embeddings, min(k, left), self.encoder.fingerprint, ignore)
        return numbers[rows], similarity

    def neighbours(
        self, embeddings: np.ndarray, k: int = 10, *, where: Filter | None = None, unless: Filter | None = None
    ) -> list[tuple[Neighbour, ...]]:
        """As `search`, exactly, with what is known of the images found.

        Args:
            embeddings: As of `search`.
            k: As of `search`.
            where: As of `predict`.
            unless: As of `predict`.

        Returns:
            Q rows of K neighbours, nearest first.

        Raises:
            GalleryError: As `search`.
        """
        references, numbers = self.enrolled()
        ignore = self._left_out(references, numbers, where, unless)
        left = len(references) if ignore is None else int(np.count_nonzero(~ignore))
        rows, similarity = references.search(embeddings, min(checked_k(k), left), references.fingerprint, ignore)
        return [neighbours_of(references, rows[place], similarity[place]) for place in range(len(rows))]

    @property
    def version(self) -> int:
        """The number of its last change, by whichever process."""
        return self._store.version

    @property
    def index(self) -> IndexFacts | None:
        """What is known of the approximate index; None where none was asked for, or it is not built yet."""
        return self._approximate.facts

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
        kept = self._limits.get(false_accept_rate) if isinstance(false_accept_rate, float) else None
        if kept is None or kept[0] is not references:
            trained = getattr(self.model, "labels", ())
            kept = references, limit_within(references, false_accept_rate, trained)
            self._limits = {rate: value for rate, value in self._limits.items() if value[0] is references}
            self._limits[float(false_accept_rate)] = kept
        return kept[1]

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

    def images(self, label: str) -> list[EnrolledImage]:
        """The images of a label, in the order they were enrolled.

        Args:
            label: As it is.

        Raises:
            GalleryError: There is no such label.
        """
        (references, numbers), store = self._snapshot(), self._store
        ignore = left_out(store, numbers, references.labels, {"label": label}, None)
        assert ignore is not None
        chosen = numbers[~ignore].tolist()
        facts = zip(
            store.sources(chosen), store.cameras(chosen), store.times(chosen), store.columns(chosen), strict=True
        )
        return [EnrolledImage(image, as_label(label), *fact) for image, fact in zip(chosen, facts, strict=True)]

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

    def _limit(self, threshold: float | None, rate: float | None) -> Rejection | None:
        if threshold is not None and rate is not None:
            raise RejectionError(
                f"threshold={threshold} and false_accept_rate={rate}: expected one of them: leave one out"
            )
        if rate is not None:
            return self.unknown_limit(rate)
        return None if threshold is None else Rejection(checked_threshold(threshold))

    def _left_out(
        self, references: References, numbers: np.ndarray, where: Filter | None, unless: Filter | None
    ) -> np.ndarray | None:
        ignore = left_out(self._store, numbers, references.labels, where, unless)
        if ignore is not None and ignore.all():
            given = ", ".join(f"{name}={value!r}" for name, value in [*(where or {}).items(), *(unless or {}).items()])
            raise GalleryError(f"{self.path}: no image is left by {given}: ask for more")
        return ignore

    def enrolled(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64.

        Raises:
            GalleryError: There is none.
        """
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

    def __init__(
        self, path: Path | str, model: HasEncoder | None, store: SqlStore, options: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(path, model, store, options)
        self.number = number
        rows = store.rows_at(number)
        numbers = np.array([row.id for row in rows], np.int64)
        embeddings = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(
            len(rows), int(store.about["dimensions"])
        )
        self._read = references_of(store, numbers, [row.label for row in rows], embeddings)

    def _snapshot(self) -> tuple[References, np.ndarray]:
        return self._read

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} after change {self.number})"
