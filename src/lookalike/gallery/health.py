"""How well a gallery is kept: labels with few images, and images that their neighbours call otherwise.

Letters in shapes: A images that ask, K neighbours.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lookalike.inference.references import References
from lookalike.metrics.evenly import evenly
from lookalike.terminal import counted

FEW = 3  # images of a label: with fewer, one that is wrong is as strong as the right ones
_ASKING = 2000  # images, spread evenly: a page waits for the answer
_NEAREST = 3  # neighbours that agree with each other, and not with the label


@dataclass(frozen=True)
class Doubt:
    """An enrolled image whose nearest neighbours all have one other label.

    Attributes:
        number: Of the image in its gallery.
        label: That it has.
        suggestion: The label of its neighbours.
        similarity: Cosine of the nearest.
    """

    number: int
    label: str
    suggestion: str
    similarity: float

    def __str__(self) -> str:
        return (
            f"image {self.number}: called {self.label!r}, its neighbours {self.suggestion!r} "
            f"(similarity {self.similarity:.3f})"
        )


@dataclass(frozen=True)
class Health:
    """What should be looked at.

    Attributes:
        images: In the gallery.
        asked: Of which asked their neighbours.
        few: Label -> images, of those with fewer than three, the fewest first.
        doubts: The most similar to others first.
    """

    images: int
    asked: int
    few: dict[str, int]
    doubts: tuple[Doubt, ...]

    def __str__(self) -> str:
        few = ", ".join(f"{label!r} {count}" for label, count in self.few.items())
        return (
            f"{counted(self.images, 'image')}, {self.asked} asked their neighbours: {len(self.doubts)} probably called "
            f"wrong\nlabels with fewer than {FEW} images: {few or 'none'}"
        )


def health_of(references: References, numbers: np.ndarray, confirmed: Collection[int] = ()) -> Health:
    """Looks at a gallery: every image, of a larger one 2,000 spread evenly, asks its three nearest others.

    Args:
        references: The gallery.
        numbers: int64 of its images.
        confirmed: Numbers of those whose labels a person called right: they are not doubted.
    """
    counts = Counter(references.labels)
    few = {label: count for label, count in sorted(counts.items(), key=lambda item: (item[1], item[0])) if count < FEW}
    count = len(references)
    if count <= _NEAREST:
        return Health(count, 0, few, ())
    asking = evenly(count, _ASKING)
    rows, similarity = references.search(references.embeddings[asking], _NEAREST + 1, references.fingerprint)
    doubts = []
    for place, row in enumerate(asking.tolist()):
        others = [rank for rank in range(_NEAREST + 1) if rows[place, rank] != row][:_NEAREST]
        near = {references.labels[rows[place, other]] for other in others}
        label = references.labels[row]
        if len(near) == 1 and label not in near and int(numbers[row]) not in confirmed:
            doubts.append(Doubt(int(numbers[row]), label, near.pop(), float(similarity[place, others[0]])))
    doubts.sort(key=lambda doubt: (-doubt.similarity, doubt.number))
    return Health(count, len(asking), few, tuple(doubts))
