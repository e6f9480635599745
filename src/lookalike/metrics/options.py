"""How a problem is measured: depths, similarity, re-ranking, device, checked when they are put together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.rerank_options import Rerank, checked_options

AveragePrecision = Literal["rectangle", "trapezoid"]

_DEEPEST = 1 << 62  # a depth beyond the references means all of them


@dataclass(frozen=True)
class EvaluationOptions:
    """The settings of `evaluate`, whose docstring explains them.

    Attributes:
        ks: Depths for cmc, precision and recall.
        vote_ks: Depths for accuracy.
        ap: How precision is averaged in `map`.
        similarity: `cosine` or `euclidean`.
        threads: None = one per core; the result does not depend on it.
        device: `cpu` or `cuda`; the result does not depend on it.
        rerank: `none`, `expand` or `k_reciprocal`.
        rerank_options: Some settings of the re-ranking.
    """

    ks: Sequence[int] = (1, 5, 10, 20)
    vote_ks: Sequence[int] = (1, 5, 10)
    ap: AveragePrecision = "rectangle"
    similarity: Similarity = "cosine"
    threads: int | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    rerank: Rerank = "none"
    rerank_options: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what is unknown or out of its range."""
        for name in ("ks", "vote_ks"):
            value = getattr(self, name)
            if not isinstance(value, Iterable):
                raise EvaluationError(f"{name}: expected several depths such as (1, 5), got {value!r}")
            object.__setattr__(self, name, tuple(value))
        for name in ("ap", "similarity", "device", "rerank"):
            if not isinstance(value := getattr(self, name), str):
                raise EvaluationError(f"{name}: expected one word, got {value!r}")
        depths = [*self.ks, *self.vote_ks]
        whole = all(isinstance(k, int | np.integer) and 1 <= k <= _DEEPEST for k in depths)
        if not whole or self.ap not in ("rectangle", "trapezoid"):
            raise EvaluationError(
                "expected depths that are whole numbers from 1 to 2^62 and ap rectangle or trapezoid, "
                f"got {depths} and {self.ap}"
            )
        if self.similarity not in ("cosine", "euclidean") or self.device not in ("cpu", "cuda"):
            raise EvaluationError(
                f"expected similarity cosine or euclidean, device cpu or cuda: got {self.similarity}, {self.device}"
            )
        if self.threads is not None and (not isinstance(self.threads, int | np.integer) or self.threads < 1):
            raise EvaluationError(f"threads: expected 1 or more, or None for one per core, got {self.threads!r}")
        if self.rerank != "none" and self.similarity != "cosine":
            raise EvaluationError(f"rerank {self.rerank}: expected similarity cosine, got {self.similarity}")
        if self.rerank == "k_reciprocal" and self.device != "cpu":
            raise EvaluationError(
                f"rerank k_reciprocal: expected device cpu, got {self.device}: it has no GPU back end"
            )
        checked_options(self.rerank, self.rerank_options)

    @property
    def rerank_settings(self) -> dict[str, float]:
        """Every setting of the re-ranking by name, the given ones over the usual ones."""
        return checked_options(self.rerank, self.rerank_options)
