"""The k nearest known images of a new one, as objects, a dated JSON and a picture.

One unreadable image gives a prediction with `error`; the rest go on.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.data.any_image import AnyImage, name_of, truth_of
from lookalike.files import as_json, atomic_file, stamp, write_new
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.encoder import Box, Encoder
from lookalike.inference.neighbour import Neighbour
from lookalike.inference.picture import Cell, draw_rows
from lookalike.inference.prediction_json import (
    SCHEMA,
    PredictionJson,
    PredictionsJson,
    need_schema,
    read_back,
)
from lookalike.inference.queries import PredictError
from lookalike.inference.references import References, need_same_fingerprint
from lookalike.inference.rejection import Rejection
from lookalike.inference.search_facts import ExactInstead, IndexFacts, facts_of
from lookalike.metrics.votes import SHOWN, vote, weighted_vote
from lookalike.pages import snippet
from lookalike.settings.paths import at_home
from lookalike.terminal import visible_line

UNKNOWN = "unknown"
Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray, IndexFacts | ExactInstead | None]]
_ROWS_SHOWN = 10  # queries in a notebook; all are in `figure()`


@dataclass(frozen=True)
class Prediction:
    """What one image shows.

    Attributes:
        image: Its name: the file, or `image 1` for one that has none.
        label: The label voted by its neighbours; `unknown` when none of them is near enough; None when the image could
            not be used.
        score: Share of the votes for that label, 0 to 1; None for `unknown`.
        truth: The known label that names the image's folder, else None.
        neighbours: Nearest first.
        error: Why the image could not be used, else None.
        query: The image itself, to be drawn.
        box: x1, y1, x2, y2 in pixels of the upright image, where only this part of it was used.
        box_number: Which of the boxes of its image this is, from 1, where there are several; else None.
    """

    image: str
    label: str | None
    score: float | None
    truth: str | None
    neighbours: tuple[Neighbour, ...]
    error: str | None = None
    query: AnyImage | None = field(default=None, repr=False, compare=False)
    box: Box | None = None
    box_number: int | None = None

    @property
    def unknown(self) -> bool:
        """Whether no known image is near enough."""
        return self.error is None and self.score is None

    @property
    def right(self) -> bool | None:
        """Whether the label is the truth, None where that is not known; a rejected image is of no label."""
        return None if self.truth is None or self.error else self.score is not None and self.label == self.truth

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `box`, `box_number` and `error` only where there is one."""
        values = {
            "image": self.image,
            **({} if self.box is None else {"box": list(self.box)}),
            **({} if self.box_number is None else {"box_number": self.box_number}),
            "label": self.label,
            "score": self.score,
            "truth": self.truth,
            "neighbours": [neighbour.to_dict() for neighbour in self.neighbours],
        }
        return values if self.error is None else {**values, "error": self.error}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Prediction":
        """What `to_dict` gave; pictures are read from the paths that it names.

        Raises:
            NoPredictionError: Something is missing or of another kind.
        """
        return cls._of(read_back(PredictionJson, values))

    @classmethod
    def _of(cls, item: PredictionJson) -> "Prediction":
        neighbours = tuple(map(Neighbour.of, item.neighbours))
        return cls(**{**vars(item), "neighbours": neighbours})

    def figure(self) -> Image.Image:
        """The query and its neighbours as a picture."""
        return draw_rows([self.cells()])

    def cells(self) -> list[Cell]:
        """What the picture shows: the query, then its neighbours; right and wrong where the truth is known."""
        query = Path(self.image) if self.query is None else self.query
        if self.error is not None:
            return [Cell(query, "cannot be used", self.error, box=self.box)]
        right, name = self.right, self._numbered(Path(self.image).name)
        verdict = "called unknown" if right is False else "unknown: too far from all"
        if self.score is not None:
            verdict = f"looks like {self.label} ({100 * self.score:.0f} %)"
        verdict = f"is {self.truth}, {verdict}" if right is False else verdict
        lighted = next((near.heat(0) for near in self.neighbours), None)
        cells = [Cell(query, name, verdict, right, self.box, number=self.box_number)]
        if lighted is not None:
            cells = [Cell(lighted, name, verdict, right, number=self.box_number)]
        return [*cells, *(near.cell(self.truth) for near in self.neighbours)]

    def __str__(self) -> str:
        if self.error is not None:
            return visible_line(self.error)
        names = ", ".join(neighbour.label for neighbour in self.neighbours)
        verdict = f"{self.label} ({self.score:.0%})" if self.score is not None else f"{self.label}"
        return visible_line(f"{self._numbered(self.image)}: {verdict}  [{names}]")

    def _numbered(self, name: str) -> str:
        """With the number of the box in front, where a long name is not cut off."""
        return name if self.box_number is None else f"{self.box_number}: {name}"

    def __repr__(self) -> str:
        return f"Prediction({self})"

    def _repr_html_(self) -> str:
        """In a notebook: the query and its neighbours."""
        return snippet("", pictures=[[cell.shown() for cell in self.cells()]])


@dataclass(frozen=True)
class Predictions:
    """The predictions of one call.

    Attributes:
        created: When, local time with its offset.
        bundle: What predicted: the folder of a bundle or a gallery.
        fingerprint: Of weights and pixel settings.
        k: Neighbours per image.
        items: One per image, in their order.
        rejection: When an image is called unknown, None for never.
        precision: Of the network's arithmetic.
        vote: How neighbours voted where no k was given, else None: each of the k once.
        index: How the images of a gallery were searched where an approximate index was asked for, else None: exactly.
    """

    created: str
    bundle: str
    fingerprint: str
    k: int
    items: tuple[Prediction, ...]
    rejection: Rejection | None = None
    precision: str = "float32"
    vote: VoteConfig | None = None
    index: IndexFacts | ExactInstead | None = None

    @property
    def threshold(self) -> float | None:
        """Similarity that the nearest had to exceed, None for no limit."""
        return None if self.rejection is None else self.rejection.similarity

    @property
    def failed(self) -> tuple[Prediction, ...]:
        """Those of images that could not be used."""
        return tuple(item for item in self.items if item.error)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        head = {
            "schema": SCHEMA,
            "created": self.created,
            "bundle": self.bundle,
            "fingerprint": self.fingerprint,
            "precision": self.precision,
            "k": self.k,
            **({} if self.vote is None else {"vote": self.vote.model_dump()}),
            **({} if self.index is None else {"index": self.index.to_dict()}),
            **({} if self.rejection is None else {"threshold": self.threshold, "unknown": self.rejection.to_dict()}),
        }
        return {**head, "items": [item.to_dict() for item in self.items]}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Predictions":
        """What `to_dict` gave, and `write` wrote.

        Raises:
            NoPredictionError: Something is missing or of another kind, or they are of another schema.
        """
        need_schema(values)
        given = read_back(PredictionsJson, values)
        rejection = None if given.unknown is None else Rejection.from_dict(vars(given.unknown))
        items = tuple(map(Prediction._of, given.items))
        head = (given.created, given.bundle, given.fingerprint, given.k)
        return cls(*head, items, rejection, given.precision, given.vote, facts_of(given.index))

    def write(self, folder: str | Path) -> Path:
        """Writes `<folder>/<YYYY-MM-DDTHH-MM-SS>.json`; returns its path.

        No existing file is replaced, also when many processes write there at once; the name with `.png` is free, too.
        """
        return write_new(at_home(Path(folder)) / f"{stamp()}.json", as_json(self.to_dict()), beside=(".png",))

    def figure(self) -> Image.Image:
        """Every query and its neighbours, a row each; one that could not be used is a grey field.

        Raises:
            PredictError: There is none.
        """
        if not self.items:
            raise PredictError("nothing to draw: no image was given")
        return draw_rows([item.cells() for item in self.items])

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} not usable" if self.failed else ""
        return f"Predictions({len(self)} images by {self.bundle!r}, k={self.k}{failed})"

    def _repr_html_(self) -> str:
        """In a notebook: the first queries and their neighbours."""
        shown = self.items[:_ROWS_SHOWN]
        more = f"; the first {len(shown)}" if len(shown) < len(self) else ""
        return snippet(f"{self!r}{more}", pictures=[[cell.shown() for cell in item.cells()] for item in shown])

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.items)

    def __getitem__(self, place: int) -> Prediction:
        return self.items[place]

    def __str__(self) -> str:
        return "\n".join(map(str, self.items))


def predict(
    encoder: Encoder,
    references: References,
    images: Sequence[AnyImage],
    k: int | None,
    *,
    source: str,
    vote_by: VoteConfig | None = None,
    rejection: Rejection | None = None,
    progress: Callable[[int], None] = lambda done: None,
    strict: bool = False,
    base: Path | None = None,
    boxes: Sequence[Box | None] | None = None,
    ignore: np.ndarray | None = None,
    search: Search | None = None,
) -> Predictions:
    """Finds the k nearest references of every image.

    Args:
        encoder: The network.
        references: Made by the same network.
        images: Files, arrays or pictures.
        k: Neighbours per image, each with one vote; None for ten, of which vote as `vote_by` says.
        source: What predicts: the folder of a bundle or a gallery.
        vote_by: How neighbours vote where no k is given; None for each once.
        rejection: When the label is `unknown`; None for never.
        progress: Called with the number of images done since the last call.
        strict: Raise for an image that cannot be used, instead of giving it a prediction with `error`.
        base: The folder that was asked for, see `truth_of`.
        boxes: Per image the part of it that is used, None for the whole.
        ignore: bool [R], references that are not searched; None for none.
        search: Takes embeddings and k; gives rows, similarities and how it searched. None for the exact search.

    Raises:
        GalleryError: k is larger than the number of references, or they are of another fingerprint.
        ImageError: An image cannot be used, and `strict` was asked for.
    """
    need_same_fingerprint(references.fingerprint, encoder.fingerprint)
    voting = vote_by if k is None and vote_by is not None else VoteConfig(k=len(references))
    chosen = vote_by if k is None else None
    left = len(references) if ignore is None else int(np.count_nonzero(~ignore))
    k = min(SHOWN, left) if k is None else k

    def exactly(asking: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, None]:
        return *references.search(asking, most, references.fingerprint, ignore), None

    nearest: Search = exactly if search is None else search
    nearest(np.zeros((0, encoder.size), np.float32), k)  # refuses a wrong k before any work
    errors: dict[int, str] = {}
    embeddings = encoder.embed(images, boxes, errors=None if strict else errors, progress=progress)
    rows, similarity, index = nearest(embeddings, k)
    labels = set(references.labels)
    items = tuple(
        Prediction(name_of(image, i), None, None, None, (), errors[i], image)
        if i in errors
        else _prediction(image, i, neighbours_of(references, rows[i], similarity[i]), labels, rejection, base, voting)
        for i, image in enumerate(images)
    )
    if boxes:
        items = _numbered(replace(item, box=box) for item, box in zip(items, boxes, strict=True))
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    return Predictions(created, source, encoder.fingerprint, k, items, rejection, encoder.precision, chosen, index)


def _numbered(items: Iterable[Prediction]) -> tuple[Prediction, ...]:
    """With the numbers of several boxes of one image, in their order."""
    items = tuple(items)
    several = Counter(item.image for item in items if item.box is not None)
    numbers = {image: count(1) for image, boxes in several.items() if boxes > 1}
    return tuple(
        replace(item, box_number=next(numbers[item.image])) if item.box is not None and item.image in numbers else item
        for item in items
    )


def draw(items: Sequence[Prediction], file: Path) -> None:
    """Writes the picture of some predictions as PNG, whole or not at all."""
    with atomic_file(file) as handle:
        draw_rows([item.cells() for item in items]).save(handle, format="PNG")


def neighbours_of(references: References, rows: np.ndarray, similarity: np.ndarray) -> tuple[Neighbour, ...]:
    """Rows that were found, as objects, nearest first.

    Args:
        references: That were searched.
        rows: int64 [K].
        similarity: float32 [K].
    """
    chosen, numbers = rows.tolist(), references.numbers
    facts = zip(chosen, references.files(chosen), references.pictures(chosen), similarity.tolist(), strict=True)
    return tuple(
        Neighbour(
            rank, references.labels[row], str(file), value, picture, None if numbers is None else int(numbers[row])
        )
        for rank, (row, file, picture, value) in enumerate(facts, start=1)
    )


def _prediction(
    image: AnyImage,
    number: int,
    neighbours: tuple[Neighbour, ...],
    labels: set[str],
    rejection: Rejection | None,
    base: Path | None,
    voting: VoteConfig,
) -> Prediction:
    voters = neighbours[: voting.k]
    names = [neighbour.label for neighbour in voters]
    similarity = np.array([near.similarity for near in voters], np.float32)
    if voting.weighted:
        place, score = weighted_vote(np.array(names), similarity)
    else:
        place = vote(np.array(names), similarity)
        score = names.count(names[place]) / len(names)
    winner = names[place]
    truth = truth_of(image, labels, base) if isinstance(image, Path | str) else None
    if rejection is not None and neighbours[0].similarity <= rejection.similarity:
        return Prediction(name_of(image, number), UNKNOWN, None, truth, neighbours, query=image)
    return Prediction(name_of(image, number), winner, score, truth, neighbours, query=image)
