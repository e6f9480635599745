"""Thresholds for unknown images, chosen against what `predict` will search.

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Collection

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.inference.bundle_config import OpenSet, ThresholdConfig, UnknownsConfig
from lookalike.inference.references import References
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.open_set import choose_thresholds, unknowns_of
from lookalike.metrics.result import RetrievalResult

_DECIMALS = 6  # of a stored similarity: below that float32 embeddings differ by rounding alone


def open_set_of(
    result: RetrievalResult,
    queries: np.ndarray,
    references: np.ndarray,
    protocol: Protocol,
    searched: References,
    false_accept_rate: float | None,
    *,
    trained: Collection[str] | None = None,
    folds: UnknownsConfig | None = None,
) -> OpenSet:
    """Thresholds for the references that a bundle takes along.

    Args:
        result: Of validation.
        queries: float32 [Q, D], of validation.
        references: float32 [R, D], of validation.
        protocol: Who asks and who answers in validation.
        searched: What `predict` will search.
        false_accept_rate: What it keeps to unless told otherwise; None lets it never say unknown.
        trained: The labels that the network was trained on; None for those that are searched.
        folds: Unknown images of networks that were trained without their labels, in place of those of validation.

    Raises:
        OpenSetError: A rate is asked for, but there is only one label.
    """
    if not same_images(searched, protocol):
        result = _against(searched, queries, references, protocol)
    trained = set(searched.labels) if trained is None else trained
    unknowns = unknowns_of(result.per_query, trained) if folds is None else folds.sample()
    chosen = choose_thresholds(result.per_query, false_accept_rate, unknowns)
    thresholds = [ThresholdConfig.model_validate(threshold.to_dict()) for threshold in chosen]
    if not chosen:
        return OpenSet(false_accept_rate=false_accept_rate)
    kept = unknowns.thinned()
    sample = UnknownsConfig(
        similarity=np.round(kept.similarity, _DECIMALS).tolist(),
        labels=kept.labels.tolist(),
        trained=kept.trained,
        folds=folds.folds if folds else 0,
    )
    return OpenSet(false_accept_rate=false_accept_rate, thresholds=thresholds, unknowns=sample)


def has_untrained_queries(protocol: Protocol, trained: Collection[str]) -> bool:
    """Whether thresholds can be chosen by queries whose labels were not trained on."""
    return not set(protocol.queries["label"]) <= set(trained)


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
