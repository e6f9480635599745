"""Embeddings in two dimensions.

Letters in shapes: Q queries, R references, D embedding, P points of the map.
"""

from dataclasses import dataclass

import numpy as np

from lookalike.console import say
from lookalike.data.protocol import Protocol
from lookalike.errors import install

_MAP_QUERIES, _MAP_REFERENCES = 2000, 1000  # points: more are drawn at random, and the page says so
_FEWEST = 10  # points with different embeddings that UMAP needs


@dataclass(frozen=True)
class Map:
    """Embeddings in two dimensions.

    Attributes:
        query: int64 [P], row of the query, -1 for a reference.
        reference: int64 [P], row of the reference, -1 for a query.
        layouts: Name -> float32 [P, 2], each within 0..1.
        drawn_from: Queries, and references that are neither ignored nor queries, there are.
    """

    query: np.ndarray
    reference: np.ndarray
    layouts: dict[str, np.ndarray]
    drawn_from: tuple[int, int]


def lay_out(queries: np.ndarray, references: np.ndarray, protocol: Protocol, umap: bool) -> Map:
    """Queries [Q, D] and a sample of references [R, D] in two dimensions."""
    draw = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(len(references)), protocol.own_row)
    others = others[~protocol.references["ignore"].to_numpy(bool)[others]]
    chosen = [
        np.sort(draw.choice(rows, most, replace=False)) if len(rows) > most else rows
        for rows, most in ((np.arange(len(queries)), _MAP_QUERIES), (others, _MAP_REFERENCES))
    ]
    points = np.concatenate([queries[chosen[0]], references[chosen[1]]])
    layouts = {}
    if umap and (flat := _umap(points)) is not None:
        layouts["UMAP"] = flat
    layouts["PCA"] = _within(_principal(points))
    missing = np.full(len(points), -1)
    query, reference = missing.copy(), missing.copy()
    query[: len(chosen[0])], reference[len(chosen[0]) :] = chosen
    return Map(query, reference, layouts, (len(queries), len(others)))


def _principal(points: np.ndarray) -> np.ndarray:
    """The two directions in which points [P, D] differ most: [P, 2]."""
    centred = points - points.mean(0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    flat: np.ndarray = np.zeros((len(points), 2))
    flat[:, : min(2, points.shape[1])] = centred @ axes[:, ::-1][:, :2]
    return flat


def _umap(points: np.ndarray) -> np.ndarray | None:
    """UMAP (McInnes et al. 2018) of points [P, D]: [P, 2]; None where it is not installed or there is too little."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from umap import UMAP
    except ImportError:
        say(f"the map is laid out by PCA alone: for UMAP, {install('report')}")
        return None
    if len(np.unique(points, axis=0)) < _FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        near = min(15, len(points) - 1)
        # The defaults pack a class that was learnt well into one spot.
        flat: np.ndarray = UMAP(near, metric="cosine", min_dist=0.9, spread=3.0, random_state=0).fit_transform(points)
    return _within(flat)


def _within(flat: np.ndarray) -> np.ndarray:
    """Positions [P, 2] moved and scaled into 0..1, their aspect kept."""
    low, high = flat.min(0), flat.max(0)
    extent = float((high - low).max())
    if not extent > 0:
        return np.full_like(flat, 0.5, np.float32)
    placed: np.ndarray = ((flat - (low + high) / 2) / extent + 0.5).astype(np.float32)
    return placed
