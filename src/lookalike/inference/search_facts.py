"""How images were searched where an approximate index was asked for: by it, or exactly after all."""

from dataclasses import dataclass
from typing import Any

from lookalike.inference.prediction_json import ExactJson, IndexJson


@dataclass(frozen=True)
class IndexFacts:
    """What is known of an approximate index, an inverted file (`ivf`).

    Attributes:
        images: R.
        cells: Into which they are put.
        probes: Cells that are searched for a query.
        recall: Share of the true ten nearest images that are found, over 200 enrolled images, themselves left out.
        seconds: It took to build.
    """

    images: int
    cells: int
    probes: int
    recall: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        built = {"images": self.images, "cells": self.cells, "probes": self.probes, "seconds": round(self.seconds, 3)}
        return {"kind": "ivf", "recall_at_10": self.recall, **built}

    def __str__(self) -> str:
        return (
            f"approximate search of {self.images} images: finds {self.recall:.4f} of the true ten nearest "
            f"({self.probes} of {self.cells} cells searched; built in {self.seconds:.1f} s)"
        )


@dataclass(frozen=True)
class ExactInstead:
    """The exact search answered, although an index was asked for.

    Attributes:
        reason: Why.
    """

    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": "exact", "reason": self.reason}

    def __str__(self) -> str:
        return f"searched exactly: {self.reason}"


def facts_of(given: IndexJson | ExactJson | None) -> IndexFacts | ExactInstead | None:
    """What `to_dict` of one of them gave, read back.

    Args:
        given: Checked.
    """
    if isinstance(given, IndexJson):
        return IndexFacts(given.images, given.cells, given.probes, given.recall_at_10, given.seconds)
    return None if given is None else ExactInstead(given.reason)
