"""Explains cosines by the network that made them: as a sum where its graph allows, else by painting regions over.

Letters in shapes: H and W rows and columns of regions, D embedding.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lookalike.data.any_image import AnyImage, name_of, read_any
from lookalike.data.orientation import Pixels
from lookalike.inference.encoder import Box, Encoder
from lookalike.inference.explanation import Explanation, strongest
from lookalike.inference.feature_maps import FeatureMaps, NotASumError, Parts, pairs_of
from lookalike.inference.heat import covered
from lookalike.inference.openvino_network import OpenVinoNetwork

GRID = 7  # rows and columns of regions that are painted over


@dataclass(frozen=True, eq=False)
class Seen:
    """An image as it is explained.

    Attributes:
        name: What it is called.
        picture: uint8 [height, width, 3], as the network sees it.
        parts: What its embedding is the sum of; None where it is no sum.
        encoder: The network.
    """

    name: str
    picture: Pixels
    parts: Parts | None
    encoder: Encoder

    @cached_property
    def embedding(self) -> np.ndarray:
        """float64 [D], of length 1."""
        made: np.ndarray = self.encoder.embed_arrays(self.picture[None])[0].astype(np.float64)
        return made

    @cached_property
    def without(self) -> np.ndarray:
        """float64 [H, W, D]: the embeddings with each region painted over in the mean colour of the image."""
        over = np.repeat(self.picture[None], GRID * GRID, axis=0)
        colour = self.picture.reshape(-1, 3).mean(0).round().astype(np.uint8)
        for number in range(GRID * GRID):
            over[number][covered(divmod(number, GRID), (GRID, GRID), self.picture.shape)] = colour
        made: np.ndarray = self.encoder.embed_arrays(over).astype(np.float64).reshape(GRID, GRID, -1)
        return made


class Explainer:
    """Explains the cosines of one network; one is kept per network, see `explainer_of`.

    Args:
        encoder: The network.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.reason = ""
        self._maps: FeatureMaps | None = None
        if not isinstance(encoder.network, OpenVinoNetwork):
            self.reason = "torch runs the network"
        elif encoder.precision == "int8":
            self.reason = "an int8 graph rounds what it adds"
        else:
            try:
                self._maps = FeatureMaps(encoder.network.graph, encoder.pixels)
            except NotASumError as error:
                self.reason = str(error)

    def seen(self, encoder: Encoder, image: AnyImage, box: Box | None = None, name: str | None = None) -> Seen:
        """An image, read and run through the network.

        Args:
            encoder: The network that this explains.
            image: What `read_any` takes.
            box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes.
            name: What it is called; None for its path.

        Raises:
            ImageError: It cannot be used.
        """
        called = name_of(image) if name is None else name
        picture = read_any(image, encoder.pixels, box, called)
        return Seen(called, picture, self._parts(picture), encoder)

    def _parts(self, picture: Pixels) -> Parts | None:
        if self._maps is None:
            return None
        try:
            return self._maps.parts(picture)
        except NotASumError as error:
            self._maps, self.reason = None, str(error)
            return None

    def explain(
        self,
        image: Seen,
        other: Seen,
        similarity: float | None = None,
        precision: str | None = None,
        from_small_picture: bool = False,
    ) -> Explanation:
        """Which regions of two images make their cosine.

        Args:
            image: The first.
            other: The second.
            similarity: The cosine that was told of them; None for that of their embeddings.
            precision: Of the arithmetic that it was computed in; None for the network's.
            from_small_picture: Whether the other is the small picture that a gallery keeps.
        """
        runs = image.encoder.precision
        facts = {
            "image": image.name,
            "other": other.name,
            "similarity": _cosine(image, other) if similarity is None else similarity,
            "precision": precision or runs,
            "from_small_picture": from_small_picture,
            "pictures": (image.picture, other.picture),
        }
        if image.parts is None or other.parts is None:
            return _by_occlusion(image, other, {**facts, "reason": self.reason, "map_precision": runs})
        return _by_sum(image.parts, other.parts, facts)


def _cosine(image: Seen, other: Seen) -> float:
    return float(image.embedding @ other.embedding)


def _by_sum(image: Parts, other: Parts, facts: dict[str, Any]) -> Explanation:
    pairs, constant = pairs_of(image, other)
    regions = pairs.sum((2, 3)).astype(np.float32), pairs.sum((0, 1)).astype(np.float32)
    explained = float(pairs.sum() + constant)
    return Explanation(
        explained=explained,
        constant=constant,
        method="exact",
        regions=regions,
        pairs=pairs.astype(np.float32),
        matches=strongest(pairs),
        map_precision="float32",
        **facts,
    )


def _by_occlusion(image: Seen, other: Seen, facts: dict[str, Any]) -> Explanation:
    whole = _cosine(image, other)
    falls = whole - image.without @ other.embedding, whole - other.without @ image.embedding
    regions = falls[0].astype(np.float32), falls[1].astype(np.float32)
    return Explanation(explained=whole, constant=0.0, method="occlusion", regions=regions, **facts)


_EXPLAINERS: "WeakKeyDictionary[object, tuple[str, Explainer]]" = WeakKeyDictionary()


def explainer_of(encoder: Encoder) -> Explainer:
    """What explains the cosines of an encoder, kept while its network is.

    Args:
        encoder: The network; of the same one with other weights or pixel settings another is made.
    """
    kept = _EXPLAINERS.get(encoder.network)
    if kept is None or kept[0] != encoder.fingerprint:
        kept = encoder.fingerprint, Explainer(encoder)
        _EXPLAINERS[encoder.network] = kept
    return kept[1]


class Explaining:
    """What explains: it has an encoder.

    Attributes:
        encoder: The network.
    """

    encoder: Encoder

    def explain(
        self, image: AnyImage, other: AnyImage, *, box: Box | None = None, other_box: Box | None = None
    ) -> Explanation:
        """Which regions of two images make them alike.

        Args:
            image: A file (path or text), bytes, a uint8 array [H, W, 3] or a picture of Pillow.
            other: Another, or the same.
            box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes: only this part is used.
            other_box: As `box`, of the other.

        Raises:
            ImageError: An image cannot be used.
        """
        explainer = explainer_of(self.encoder)
        names = [image if isinstance(image, str) else name_of(image), name_of(other, 1)]
        first = explainer.seen(self.encoder, image, box, names[0])
        second = explainer.seen(self.encoder, other, other_box, names[1])
        return explainer.explain(first, second)
