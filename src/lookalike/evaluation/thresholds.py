"""Thresholds for unknown images, chosen against what `predict` will search.

Letters in shapes: Q queries, R references, D embedding.
"""

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.inference.bundle_config import OpenSet, ThresholdConfig
from lookalike.inference.references import References
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.open_set import choose_thresholds
from lookalike.metrics.result import RetrievalResult


def open_set_of(
    result: RetrievalResult,
    queries: np.ndarray,
    references: np.ndarray,
    protocol: Protocol,
    searched: References,
    false_accept_rate: float | None,
) -> OpenSet:
    """Thresholds for the references that a bundle takes along.

    Args:
        result: Of validation.
        queries: float32 [Q, D], of validation.
        references: float32 [R, D], of validation.
        protocol: Who asks and who answers in validation.
        searched: What `predict` will search.
        false_accept_rate: What it keeps to unless told otherwise; None lets it never say unknown.

    Raises:
        OpenSetError: A rate is asked for, but there is only one label.
    """
    if not same_images(searched, protocol):
        result = _against(searched, queries, references, protocol)
    chosen = choose_thresholds(result.per_query, false_accept_rate)
    thresholds = [ThresholdConfig.model_validate(threshold.to_dict()) for threshold in chosen]
    return OpenSet(false_accept_rate=false_accept_rate, thresholds=thresholds)


def same_images(searched: References, protocol: Protocol) -> bool:
    """Whether the references of a protocol are the very images that are searched, in the same order."""
    rows = protocol.references
    return searched.paths == rows["path"].tolist() and searched.labels == rows["label"].tolist()


def _against(searched: References, queries: np.ndarray, references: np.ndarray, protocol: Protocol) -> RetrievalResult:
    """All validation images against what is searched: more references have nearer strangers."""
    others = np.setdiff1d(np.arange(len(references)), protocol.own_row)
    others = others[~protocol.references["ignore"].to_numpy(bool)[others]]
    asking = [*protocol.queries["label"], *protocol.references["label"].iloc[others]]
    return evaluate(np.concatenate([queries, references[others]]), searched.embeddings, asking, searched.labels)
