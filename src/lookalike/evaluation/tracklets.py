"""Tracklets that ask and answer as one: the mean of the embeddings of their pictures.

Letters in shapes: Q queries, R references, D embedding, T tracklets.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from lookalike.data.protocol import Protocol

_AT_ONCE = 1 << 16  # pictures: MARS has 680,000, whose copies would take gigabytes


def pooled(protocol: Protocol, queries: np.ndarray, references: np.ndarray) -> tuple[Protocol, np.ndarray, np.ndarray]:
    """The protocol with a row per tracklet (its first picture), and their embeddings.

    Pictures without a tracklet stay as they are. The mean is of unit vectors and has unit length again.

    Args:
        protocol: Who asks and who answers, by pictures, with the column `tracklet` on both sides.
        queries: float32 [Q, D].
        references: float32 [R, D].
    """
    asking, asked = _tracklets(protocol.queries), _tracklets(protocol.references)
    query_ids, query_rows = np.unique(asking, return_index=True)
    reference_ids, reference_rows = np.unique(asked, return_index=True)
    places = {name: place for place, name in enumerate(reference_ids)}
    own = np.array([places.get(name, -1) for name in query_ids], np.int64)
    # A picture that is ignored as the copy of another takes no tracklet with it.
    ignored = pd.Series(protocol.references["ignore"].to_numpy(bool)).groupby(asked).all()
    answering = protocol.references.iloc[reference_rows].assign(ignore=ignored[reference_ids].to_numpy(bool))
    made = replace(
        protocol,
        queries=protocol.queries.iloc[query_rows],
        references=answering,
        own_row=own,
        copies=0,
    )
    return made, _means(queries, asking), _means(references, asked)


def _tracklets(rows: pd.DataFrame) -> np.ndarray:
    """Of each row the name of its tracklet; a picture without one is alone in its own."""
    names = rows["tracklet"].to_numpy(object)
    paths = rows["path"].to_numpy(object)
    return np.array([name or f"\0{path}" for name, path in zip(names, paths, strict=True)], object).astype(str)


def _means(embeddings: np.ndarray, names: np.ndarray) -> np.ndarray:
    """float32 [T, D], in the order of the sorted names."""
    ids, places = np.unique(names, return_inverse=True)
    sums = np.zeros((len(ids), embeddings.shape[1]), np.float64)
    for start in range(0, len(embeddings), _AT_ONCE):
        part = embeddings[start : start + _AT_ONCE].astype(np.float64)
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        np.add.at(sums, places[start : start + _AT_ONCE], part)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means: np.ndarray = (sums / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return means
