"""Resampling of labels: how much a mean would move had other labels been in the test set.

Queries of one label are not independent, so whole labels are drawn, with replacement (Efron and Tibshirani 1993).

Letters in shapes: Q queries, M metrics, S resamples.
"""

import numpy as np

RESAMPLES = 1000
_SEED = 0
_TOGETHER = 50  # resamples held in memory at a time


def resampled(labels: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted means over labels drawn with replacement; the same labels give the same draws.

    Args:
        labels: int64 [Q], 0 to the number of labels - 1, each at least once.
        values: float64 [Q, M].
        weight: float64 [Q, M], 0 where a query does not count.

    Returns:
        float64 [S, M], NaN where nothing was drawn that counts.
    """
    count = int(labels.max()) + 1
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(count))
    sums = np.add.reduceat((values * weight)[order], starts, axis=0)
    sizes = np.add.reduceat(weight[order], starts, axis=0)
    rng = np.random.default_rng(_SEED)
    means = []
    for _ in range(0, RESAMPLES, _TOGETHER):
        drawn = rng.integers(0, count, (_TOGETHER, count)) + count * np.arange(_TOGETHER)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * _TOGETHER).reshape(_TOGETHER, count).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((times @ sums) / (times @ sizes))
    return np.concatenate(means)


def p_values(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of resampled differences [S, M]: twice the smaller tail beyond 0, at least 2 / (S + 1).

    NaN, where a draw held nothing that counts, is no draw.
    """
    tails = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    smallest: np.ndarray = np.minimum(1.0, 2 * (tails + 1) / (np.isfinite(differences).sum(axis=0) + 1))
    return smallest
