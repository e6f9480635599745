"""Predictions with the reasons of their neighbours: which regions of the query and of each make them similar."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lookalike.console import say
from lookalike.data.images import ImageError
from lookalike.inference.encoder import Box, Encoder
from lookalike.inference.explaining import Explainer, Seen, explainer_of
from lookalike.inference.explanation import Explanation
from lookalike.inference.neighbour import Neighbour
from lookalike.inference.predict import Prediction, Predictions
from lookalike.terminal import counted

_KEPT = 64  # known images that several queries may share


class KnownImage(NamedTuple):
    """What is left of a known image.

    Attributes:
        image: Its file, or the bytes of the small picture that a gallery keeps.
        box: The part of the file that is known; None for the whole.
        small: Whether it is the small picture.
    """

    image: Path | str | bytes
    box: Box | None = None
    small: bool = False


def files_of(neighbours: Sequence[Neighbour]) -> list[KnownImage]:
    """Known images of a bundle: their files.

    Args:
        neighbours: Of a prediction.
    """
    return [KnownImage(Path(neighbour.source)) for neighbour in neighbours]


def with_reasons(
    encoder: Encoder,
    predictions: Predictions,
    known_images: Callable[[Sequence[Neighbour]], list[KnownImage]],
    precision: str,
    *,
    pictures: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """The same predictions, each neighbour with its explanation where its image can be read.

    Args:
        encoder: The network that predicted.
        predictions: Of files or other images.
        known_images: What is left of the neighbours of a prediction.
        precision: Of the arithmetic that the known embeddings were made in.
        pictures: For how many predictions pictures are kept to be drawn; None for all.
        progress: Called with the number of predictions done since the last call.
    """
    explainer, unread = explainer_of(encoder), list[str]()

    @lru_cache(maxsize=_KEPT)
    def seen(source: str, number: int | None, image: Path | str | bytes, box: Box | None) -> Seen | None:
        try:
            return explainer.seen(encoder, image, box, source)
        except ImageError as error:
            unread.append(str(error))
            return None

    def reasoned(item: Prediction) -> Prediction:
        if item.error is not None or not item.neighbours:
            return item
        try:
            query = explainer.seen(encoder, item.image if item.query is None else item.query, item.box, item.image)
        except ImageError as error:  # it went meanwhile
            unread.append(str(error))
            return item
        near = []
        for neighbour, image in zip(item.neighbours, known_images(item.neighbours), strict=True):
            other = seen(neighbour.source, neighbour.number, image.image, image.box)
            made = None
            if other is not None:
                made = explainer.explain(query, other, neighbour.similarity, precision, image.small)
            near.append(replace(neighbour, explanation=made))
        return replace(item, neighbours=tuple(near))

    items: list[Prediction] = []
    for item in predictions:
        made = reasoned(item)
        items.append(made if pictures is None or len(items) < pictures else _without_pictures(made))
        progress(1)
    _tell(items, unread, explainer)
    return replace(predictions, items=tuple(items))


def _without_pictures(item: Prediction) -> Prediction:
    near = (
        near if near.explanation is None else replace(near, explanation=near.explanation.without_pictures())
        for near in item.neighbours
    )
    return replace(item, neighbours=tuple(near))


def _tell(items: list[Prediction], unread: list[str], explainer: Explainer) -> None:
    """How it was explained where not exactly, which images could not be read, and whose cosines differ."""
    made = [near.explanation for item in items for near in item.neighbours if near.explanation is not None]
    if any(explanation.method == "occlusion" for explanation in made):
        say(f"explain: regions are painted over in turn, as {explainer.reason}")
    if unread:
        say(f"explain: {counted(len(unread), 'image')} cannot be read and are not explained; first: {unread[0]}")
    differing = [explanation for explanation in made if explanation.note]
    if differing:
        worst = max(differing, key=_difference)
        say(f"explain: {len(differing)} of {counted(len(made), 'explanation')}: {worst.note}")


def _difference(explanation: Explanation) -> float:
    return abs(explanation.explained - explanation.similarity)
