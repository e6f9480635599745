"""A known image near a query: its label, how similar it is and, where that was asked, why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.data.orientation import Pixels
from lookalike.inference.explanation import Explanation
from lookalike.inference.picture import Cell
from lookalike.inference.prediction_json import NeighbourJson, read_back


@dataclass(frozen=True)
class Neighbour:
    """One known image.

    Attributes:
        rank: 1 = nearest.
        label: Its class name.
        source: Its file; of an image of a gallery the place that it was enrolled from.
        similarity: Cosine with the query, -1 to 1.
        thumbnail: A small JPEG where one is kept, else empty.
        number: Of the image in its gallery, which `Gallery.move` and `Gallery.remove` take; None in a bundle.
        explanation: Which regions make it similar, where that was asked for and its image can be read; else None.
    """

    rank: int
    label: str
    source: str
    similarity: float
    thumbnail: bytes = field(default=b"", repr=False, compare=False)
    number: int | None = None
    explanation: Explanation | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `number` and `explanation` only where there is one."""
        values = {"rank": self.rank, "label": self.label, "source": self.source, "similarity": self.similarity}
        number = {} if self.number is None else {"number": self.number}
        return {**values, **number, **({} if self.explanation is None else {"explanation": self.explanation.to_dict()})}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Neighbour":
        """What `to_dict` gave, without the pictures.

        Raises:
            NoPredictionError: Something is missing or of another kind.
        """
        return cls.of(read_back(NeighbourJson, values))

    @classmethod
    def of(cls, given: NeighbourJson) -> "Neighbour":
        """The same, read already.

        Args:
            given: As it stood in JSON.
        """
        explanation = None if given.explanation is None else Explanation.of(given.explanation)
        return cls(**{**vars(given), "explanation": explanation})

    def heat(self, which: int) -> Pixels | None:
        """The query's picture (0) or its own (1) with the regions lit that make it similar; None where none is told.

        Args:
            which: 0 or 1.
        """
        return None if self.explanation is None else self.explanation.heat(which)

    def cell(self, truth: str | None) -> Cell:
        """What a picture shows of it.

        Args:
            truth: Label of the query, where that is known.
        """
        same = None if truth is None else self.label == truth
        lighted = self.heat(1)
        picture = (self.thumbnail or Path(self.source)) if lighted is None else lighted
        note = f"{self.rank}.  similarity {self.similarity:.3f}"
        return Cell(picture, self.label, note, same, missing="moved? gallery_root=")
