"""Approximate search, for whoever asks for it: an inverted file of FAISS, built beside the exact search.

How many of the true ten nearest it finds is measured on the gallery's own images and told. Whatever it finds has the
exact similarity, in the exact order.

Letters in shapes: Q queries, R references, D embedding, K neighbours.
"""

import time
from threading import Thread
from typing import TYPE_CHECKING, Literal

import numpy as np

from lookalike.console import say
from lookalike.errors import needing
from lookalike.inference.references import GalleryError, References
from lookalike.inference.search_facts import ExactInstead, IndexFacts
from lookalike.metrics.evenly import evenly
from lookalike.metrics.search import nearest

if TYPE_CHECKING:
    import faiss

Kind = Literal["ivf"]
KIND: Kind = "ivf"
LEAST = 10_000  # images from which on it is worth building
_ASKED = 200  # images that measure it, spread evenly
_DEPTH = 10  # of the recall
_WANTED = 0.99  # recall for which as many cells as needed are searched
_TRAINED_ON = 64  # images per cell
_SEED = 0


class ApproximateIndex:
    """An inverted file over references, built by a thread of its own.

    Args:
        references: What is searched.
        name: Of the gallery, for what is told.

    Attributes:
        references: As given.
        facts: None until it is built.
    """

    def __init__(self, references: References, name: str) -> None:
        self.references, self._name = references, name
        self.facts: IndexFacts | None = None
        self._index: faiss.IndexIVFFlat | None = None
        self._thread = Thread(target=self._build, name="approximate index", daemon=True)
        self._thread.start()

    @property
    def building(self) -> bool:
        """Whether it is not ready yet."""
        return self._thread.is_alive()

    def wait(self) -> None:
        """Until it is built."""
        self._thread.join()

    def search(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The k nearest of those found; None where it is not built, or finds fewer than k.

        Args:
            query: float32 [Q, D], unit length.
            k: K.

        Returns:
            int64 [Q, K] rows and float32 [Q, K] cosines, in the order of the exact search.
        """
        if self.facts is None or self._index is None:
            return None
        _, rows = self._index.search(np.ascontiguousarray(query, np.float32), k)
        if (rows < 0).any():
            return None
        places, similarity = np.empty(rows.shape, np.int64), np.empty(rows.shape, np.float32)
        for number, mine in enumerate(np.sort(rows, axis=1)):
            order, values = nearest(query[number : number + 1], self.references.embeddings[mine], k)
            places[number], similarity[number] = mine[order[0]], values[0]
        return places, similarity

    def _build(self) -> None:
        import faiss

        start = time.perf_counter()
        embeddings = np.ascontiguousarray(self.references.embeddings, np.float32)
        count, size = embeddings.shape
        cells = int(4 * np.sqrt(count))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.min_points_per_centroid = _SEED, 1  # it prints a warning below 39
        chosen = np.random.default_rng(_SEED).choice(count, min(count, _TRAINED_ON * cells), replace=False)
        index.train(embeddings[np.sort(chosen)])
        index.add(embeddings)
        asking = evenly(count, _ASKED)
        true, _ = nearest(embeddings[asking], embeddings, _DEPTH + 1)
        probes = 1
        while True:
            index.nprobe = probes
            _, rows = index.search(embeddings[asking], _DEPTH + 1)
            recall = _recall(rows, true, asking)
            if recall >= _WANTED or probes == cells:
                break
            probes = min(2 * probes, cells)
        self._index = index
        self.facts = IndexFacts(count, cells, int(index.nprobe), recall, time.perf_counter() - start)
        say(f"{self._name}: {self.facts}")


class ApproximateSearch:
    """The index of a gallery that changes: one over the images of each moment that is asked for.

    Args:
        name: Of the gallery.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._index: ApproximateIndex | None = None

    def search(
        self, references: References, embeddings: np.ndarray, k: int, ignore: np.ndarray | None, kind: Kind | None
    ) -> tuple[np.ndarray, np.ndarray, IndexFacts | ExactInstead | None]:
        """The k nearest images, by the index where it is asked for and can answer, else exactly.

        Args:
            references: Of this moment.
            embeddings: float32 [Q, D], unit length.
            k: K.
            ignore: bool [R], images that are not to be found; None for none.
            kind: `ivf`; None for the exact search.

        Returns:
            int64 [Q, K] rows, float32 [Q, K] cosine similarities, and how they were searched where a kind was given.

        Raises:
            GalleryError: There is no such kind; and as `References.search`.
        """
        instead = None
        if kind is not None:
            index = self.over(references, kind) if ignore is None else None
            if index is not None and (facts := index.facts) is not None:
                near = index.search(references.as_query(embeddings, references.fingerprint), k)
                if near is not None:
                    return *near, facts
            instead = ExactInstead(_reason(references, ignore, index, k, _checked(kind)))
        return *references.search(embeddings, k, references.fingerprint, ignore), instead

    def build(self, references: References, kind: Kind) -> IndexFacts | None:
        """Builds the index of these images and waits for it; returns what is known of it, None where they are too few.

        Args:
            references: Of this moment.
            kind: `ivf`.

        Raises:
            GalleryError: There is no such kind.
        """
        while (index := self.over(references, kind)) is None and self._index is not None and self._index.building:
            self._index.wait()  # that of an earlier moment
        if index is None:
            return None
        index.wait()
        return index.facts

    def over(self, references: References, kind: Kind) -> ApproximateIndex | None:
        """The index of these images, begun where there is none; None for too few, or while another is being built.

        Args:
            references: Of this moment.
            kind: `ivf`.

        Raises:
            GalleryError: There is no such kind.
            LookalikeError: FAISS is not installed.
        """
        _checked(kind)
        if len(references) < LEAST:
            return None
        with needing("index", f"index={kind}"):
            import faiss  # noqa: F401 - here rather than in a thread that nobody hears
        if self._index is None or (self._index.references is not references and not self._index.building):
            self._index = ApproximateIndex(references, self._name)
        return self._index if self._index.references is references else None

    @property
    def facts(self) -> IndexFacts | None:
        """Of the latest index that is built."""
        return None if self._index is None else self._index.facts


def _checked(kind: Kind) -> Kind:
    if kind != KIND:
        raise GalleryError(f"index={kind!r}: expected {KIND} or None, which searches exactly")
    return kind


def _reason(
    references: References, ignore: np.ndarray | None, index: ApproximateIndex | None, k: int, kind: Kind
) -> str:
    """Why an index does not answer."""
    if ignore is not None:
        return f"where and unless leave images out, and index={kind} searches all"
    if len(references) < LEAST:
        return f"{len(references)} images, and index={kind} is of at least {LEAST}"
    if index is None or index.facts is None:
        return f"index={kind} is not built yet"
    return f"index={kind} finds fewer than {k} for some"


def _recall(rows: np.ndarray, true: np.ndarray, asking: np.ndarray) -> float:
    """The share of the true neighbours among those found, without the images that ask."""
    shares = [
        len(set(right.tolist()) & set(mine.tolist()) - {own}) / len(set(right.tolist()) - {own})
        for mine, right, own in zip(rows, true, asking.tolist(), strict=True)
    ]
    return float(np.mean(shares))
