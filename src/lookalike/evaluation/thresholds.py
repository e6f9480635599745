"""Thresholds for unknown images, chosen against what `predict` will search.

Letters in shapes: Q queries, R references, N images, D embedding.
"""

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.result import RetrievalResult


def against_gallery(
    queries: np.ndarray, references: np.ndarray, protocol: Protocol, gallery: np.ndarray, labels: list[str]
) -> RetrievalResult:
    """All validation images against a gallery, as `predict` will search it: a larger one has nearer strangers.

    Args:
        queries: float32 [Q, D], of the protocol.
        references: float32 [R, D], of the protocol.
        protocol: Who asks and who answers in validation.
        gallery: float32 [N, D], training images.
        labels: Theirs.
    """
    others = np.setdiff1d(np.arange(len(references)), protocol.own_row)
    others = others[~protocol.references["ignore"].to_numpy(bool)[others]]
    asking = [*protocol.queries["label"], *protocol.references["label"].iloc[others]]
    return evaluate(np.concatenate([queries, references[others]]), gallery, asking, labels)
