"""Several images of one appearance as one embedding: what video re-identification compares.

A tracklet is what a tracker cuts out while one individual passes one camera. MARS (Zheng et al., ECCV 2016) asks and
answers by tracklets whose frames are averaged or whose largest values are taken, as torchreid's video engine does
(`pooling_method`, engine/video/softmax.py, 1.4.0). Here the frames' unit embeddings are pooled.

Letters in shapes: N images, T tracklets (an image without one counts as one), D embedding.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lookalike.data.layouts.market import DISTRACTOR
from lookalike.data.protocol import Protocol, Tracklets
from lookalike.data.tables import ManifestError
from lookalike.data.taken import FIRST, LAST, spans

Pool = Literal["none", "mean", "max"]
_SHOWN = 3  # tracklets in an error
_AT_ONCE = 1 << 16  # pictures: MARS has 680,000, whose copies would take gigabytes


@dataclass(frozen=True, eq=False)
class Pooling:
    """Which images become which tracklet.

    Attributes:
        before: The protocol, image by image.
        protocol: Its rows are the first image of each tracklet, with how many `images` that has.
        of_queries: int64 [N], the tracklet of every query.
        of_references: Same, of every reference.
    """

    before: Protocol
    protocol: Protocol
    of_queries: np.ndarray
    of_references: np.ndarray


def pooling_of(protocol: Protocol, pool: Pool | None = None) -> Pooling | None:
    """How the images of a protocol are pooled, queries and references apart; needs no embedding.

    Args:
        protocol: Who asks and who answers, image by image.
        pool: `mean` or `max` over the images, per number of the embedding; None is `mean` where the images name
            tracklets; `none` compares images.

    Returns:
        None where images are compared.

    Raises:
        ManifestError: A tracklet shows two labels or cameras, or no image names one where pooling was asked for.
    """
    if pool not in (None, *get_args(Pool)):
        raise ManifestError(f"pool={pool}: expected one of {', '.join(get_args(Pool))}, or null")
    sides = (protocol.queries, protocol.references)
    named = any("tracklet" in side and (side["tracklet"] != "").any() for side in sides)
    if not named and pool in ("mean", "max"):
        raise ManifestError(
            f"pool={pool}: expected images that name their tracklets, found none: give a table with a column tracklet, "
            "or leave pool out"
        )
    if not named or pool == "none":
        return None
    queries, references = _with_moments(protocol.queries, protocol.references)
    asking, of_queries = _tracklets(queries, "query")
    answering, of_references = _tracklets(references, "reference")
    own = _own_tracklets(protocol, of_queries, of_references, len(asking))
    lone = (answering["label"] == DISTRACTOR) & ~answering["ignore"]
    by_tracklet = replace(
        protocol,
        queries=asking,
        references=answering,
        own_row=own,
        distractors=int(lone.sum()) if protocol.distractors else 0,
        of_training=int((answering["split"] == "train").sum()) if protocol.of_training else 0,
        tracklets=Tracklets(
            "max" if pool == "max" else "mean", len(protocol.queries), len(protocol.references), protocol.several
        ),
    )
    return Pooling(protocol, by_tracklet, of_queries, of_references)


def pooled(
    queries: np.ndarray, references: np.ndarray, protocol: Protocol, pooling: Pooling | None
) -> tuple[np.ndarray, np.ndarray, Protocol]:
    """Pools the embeddings of every tracklet.

    Args:
        queries: float32 [N, D], of the protocol's queries.
        references: Same, of its references.
        protocol: Who asks and who answers, image by image.
        pooling: See `pooling_of`; None changes nothing.

    Returns:
        float32 [T, D] of unit length for each side, and the protocol by tracklet.
    """
    if pooling is None:
        return queries, references, protocol
    assert pooling.before is protocol
    assert pooling.protocol.tracklets is not None
    how = pooling.protocol.tracklets.pool
    sides = (
        _pool(queries, pooling.of_queries, len(pooling.protocol.queries), how),
        _pool(references, pooling.of_references, len(pooling.protocol.references), how),
    )
    return *sides, pooling.protocol


def _own_tracklets(protocol: Protocol, of_queries: np.ndarray, of_references: np.ndarray, count: int) -> np.ndarray:
    """The reference tracklet that each query tracklet is, int64 [T], -1 where it is none of them.

    That is the one with its own images; else the one with most copies of them. A single image that is copied elsewhere
    says nothing of its tracklet.
    """
    own = np.full(count, -1, np.int64)
    itself = protocol.references.index.get_indexer(protocol.queries.index)
    for rows in (protocol.own_row, itself):  # the later one decides
        members = np.flatnonzero(rows >= 0)
        pairs = pd.DataFrame({"asking": of_queries[members], "own": of_references[rows[members]], "images": 1})
        votes = pairs.groupby(["asking", "own"]).sum().reset_index()
        most = votes.sort_values(["asking", "images", "own"], ascending=[True, False, True]).drop_duplicates("asking")
        own[most["asking"].to_numpy(np.int64)] = most["own"].to_numpy(np.int64)
    return own


def _with_moments(queries: pd.DataFrame, references: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both with when each image was taken, for rules of times; as they are where that cannot be read."""
    try:
        sides = spans(queries, references)
    except ManifestError:
        return queries, references  # a rule that asks for times says so itself
    (asked, _), (answered, _) = sides
    return queries.assign(**{FIRST: asked}), references.assign(**{FIRST: answered})


def _tracklets(rows: pd.DataFrame, side: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The first row of every tracklet, with how many `images` it has, and the tracklet of every row, int64 [N].

    It is ignored where all of its images are: one that is the copy of another image takes no tracklet with it.

    Raises:
        ManifestError: See `pooling_of`.
    """
    names = rows["tracklet"] if "tracklet" in rows else pd.Series("", index=rows.index)
    alone = names == ""
    keys = names.mask(alone, [f"\0{place}" for place in range(len(rows))])  # what stands alone is its own tracklet
    places, _ = pd.factorize(keys)
    for fact in ("label", "camera"):
        several = rows[~alone].groupby(names[~alone], sort=False)[fact].nunique(dropna=False)
        mixed = several.index[several > 1]
        if len(mixed):
            values = rows.loc[names == mixed[0], fact].astype(str).unique()
            raise ManifestError(
                f"{len(mixed)} {side} tracklet(s) of more than one {fact}: {', '.join(map(str, mixed[:_SHOWN]))} "
                f"({mixed[0]}: {', '.join(values[:_SHOWN])}): expected one individual under one camera in each: "
                "correct the column tracklet, or give pool=none"
            )
    first = np.unique(places, return_index=True)[1]
    counting = np.bincount(places, weights=~rows["ignore"].to_numpy(bool))
    made = rows.iloc[first].assign(images=np.bincount(places), ignore=counting == 0)
    if FIRST in rows:
        moments = rows[FIRST].groupby(places)
        made = made.assign(**{FIRST: moments.min().to_numpy(), LAST: moments.max().to_numpy()})
    return made, places.astype(np.int64)


def _pool(embeddings: np.ndarray, places: np.ndarray, count: int, how: Literal["mean", "max"]) -> np.ndarray:
    """float32 [N, D] and int64 [N] -> float32 [T, D], unit length; sums in float64, in the order of the images."""
    made = np.full((count, embeddings.shape[1]), -np.inf if how == "max" else 0.0)
    for start in range(0, len(embeddings), _AT_ONCE):  # no second copy of them all
        rows = slice(start, start + _AT_ONCE)
        (np.maximum if how == "max" else np.add).at(made, places[rows], embeddings[rows].astype(np.float64))
    length = np.linalg.norm(made, axis=1, keepdims=True)
    unit: np.ndarray = (made / np.where(length > 0, length, 1)).astype(np.float32)
    return unit
