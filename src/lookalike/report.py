"""What a person wants to see of a trained model on a split: everything `report_page` shows, as plain arrays.

Letters in shapes: Q queries, R references, D embedding, P points of the map.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lookalike.assess import worst_rows
from lookalike.bundle import Bundle, load_bundle
from lookalike.embed import load_encoder
from lookalike.images import ImageError, PixelSettings, read_image
from lookalike.inputs import camera_ids, label_ids
from lookalike.manifest import Manifest, Protocol, boxes_of, read_data
from lookalike.measure import Identification, Rules, embed_protocol, held_out_as_in, identify, need_cameras, twice
from lookalike.progress import say

BINS = 120  # of similarities from -1 to 1
_CHUNK = 256  # queries whose similarities to all references are held at once
_MAP_QUERIES, _MAP_REFERENCES = 2000, 1000  # points: more are drawn at random, and the page says so
_FEWEST = 10  # points with different embeddings that UMAP needs


@dataclass(frozen=True)
class Similarities:
    """How similar queries are to references of their own label and of others.

    Attributes:
        genuine: int64 [BINS], counts of all pairs of one label.
        impostor: int64 [BINS], counts of all pairs of two labels.
        nearest_genuine: float32 [Q], the best of a query's own label; NaN where there is none.
    """

    genuine: np.ndarray
    impostor: np.ndarray
    nearest_genuine: np.ndarray


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


@dataclass(frozen=True)
class Report:
    """Everything the page shows.

    Attributes:
        bundle: The model.
        manifest: The data set.
        protocol: Who asked and who answered.
        split: Of the queries.
        identification: The figures.
        similarities: See `Similarities`.
        map: See `Map`.
        twice: How many queries are, byte for byte, also among the references.
    """

    bundle: Bundle
    manifest: Manifest
    protocol: Protocol
    split: str
    identification: Identification
    similarities: Similarities
    map: Map
    twice: int = 0

    @property
    def nearest_impostor(self) -> np.ndarray:
        """Similarity of each query to the nearest reference of another label, where there is one."""
        per_query = self.identification.result.per_query
        values = per_query["similarity"].where(~per_query["known"], per_query["similarity_other"]).to_numpy(float)
        found: np.ndarray = values[np.isfinite(values)]
        return found

    @property
    def of_training(self) -> bool:
        """Whether the validation split is, by its counts, the one that the epoch was chosen on."""
        chosen = self.bundle.config.get("metrics", {}).get("validation", {}).get("counts", {})
        counts = self.identification.result.counts
        return all(chosen.get(name) == counts[name] for name in ("queries", "references", "distractors"))

    def per_class(self) -> pd.DataFrame:
        """A row per label of a query, worst first: queries, references, accuracy@1, map, most often taken for."""
        table = self.identification.result.per_label()
        known = self.protocol.references.loc[~self.protocol.references["ignore"].to_numpy(bool), "label"]
        table.insert(2, "references", table["label"].map(known.value_counts()).fillna(0).astype(int))
        mistakes = self.mistakes().drop_duplicates("label").set_index("label")
        table["taken for"] = table["label"].map(mistakes["predicted"]).fillna("")
        return table

    def mistakes(self) -> pd.DataFrame:
        """Pairs of labels that were confused, most often first: label, predicted, count, share of its queries."""
        per_query = self.identification.result.per_query
        counts = per_query.groupby(["label", "predicted"]).size().rename("count").reset_index()
        counts["share"] = counts["count"] / counts["label"].map(per_query["label"].value_counts())
        wrong = counts[counts["label"] != counts["predicted"]]
        return wrong.sort_values(["count", "share"], ascending=False, kind="stable").reset_index(drop=True)

    def worst(self, most: int) -> list[int]:
        """Queries with the lowest average precision."""
        return [int(row) for row in worst_rows(self.identification.result.per_query)[:most]]

    def best(self, most: int) -> list[int]:
        """Right answers that were furthest from a wrong one, at most one per label."""
        per_query = self.identification.result.per_query
        right = per_query[per_query["predicted"] == per_query["label"]]
        margin = right["similarity"] - right["similarity_other"]
        order = margin.sort_values(ascending=False, kind="stable").index
        return [int(row) for row in right.loc[order].drop_duplicates("label").index[:most]]

    def thumbnail(self, table: pd.DataFrame, row: int, side: int) -> bytes:
        """A picture of a row as JPEG of side x side pixels; empty where it cannot be read."""
        one = table.iloc[[row]]
        boxes = boxes_of(one)
        try:
            pixels = read_image(
                self.manifest.file(one["path"].iloc[0]), PixelSettings(side, side, "pad"), boxes[0] if boxes else None
            )
        except ImageError:
            return b""
        _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 72])
        return bytes(data.tobytes())


def gather(
    folder: Path, data: dict[str, Any], split: str, camera_rule: bool, umap: bool, device: Any, precision: Any
) -> Report:
    """Measures a bundle on a split.

    Args:
        folder: Of the bundle.
        data: `root`, `validation_share`, `seed`, `archive`, `exclude`.
        split: train, validation or test.
        camera_rule: Leave out references of the query's own label and camera, where known.
        umap: Also lay the map out by UMAP, where that is installed.
        device: See `load_encoder`.
        precision: See `load_encoder`.

    Raises:
        LookalikeError: Problems in the bundle or the data, or no query with a valid positive.
    """
    bundle = load_bundle(folder)
    manifest = read_data(**held_out_as_in(bundle, data))
    protocol = manifest.protocol(split)
    if camera_rule:
        need_cameras(manifest, protocol)
    queries, references = embed_protocol(load_encoder(bundle, device, precision), manifest, protocol)
    identification = identify(queries, references, protocol, Rules(camera_rule=camera_rule))
    similarities = compare_similarities(queries, references, protocol, camera_rule)
    flat = lay_out(queries, references, protocol, umap)
    copies = len(twice(manifest, protocol))
    return Report(bundle, manifest, protocol, split, identification, similarities, flat, copies)


def compare_similarities(
    queries: np.ndarray, references: np.ndarray, protocol: Protocol, camera_rule: bool
) -> Similarities:
    """Similarities of all valid pairs of unit embeddings [Q, D] and [R, D], in chunks of queries.

    A pair is valid as in `evaluate`: the reference is not ignored, not the query itself, and under the camera rule not
    of the query's label and camera.
    """
    asked, known = protocol.queries, protocol.references
    ids, _ = label_ids(asked["label"].tolist(), known["label"].tolist())
    own, other = ids[: len(asked)], ids[len(asked) :]
    cameras = [part["camera"].astype(object).tolist() for part in (asked, known)]
    rule = camera_rule and all(part["camera"].notna().any() for part in (asked, known))
    seen, seen_by = camera_ids(*cameras) if rule else (None, None)
    ignore = known["ignore"].to_numpy(bool)
    counts = np.zeros((2, BINS), np.int64)
    nearest = np.full(len(asked), np.nan, np.float32)
    for first in range(0, len(asked), _CHUNK):
        rows = slice(first, first + _CHUNK)
        similarity = np.clip(queries[rows] @ references.T, -1, 1)
        valid = np.broadcast_to(~ignore, similarity.shape).copy()
        places = np.flatnonzero(protocol.own_row[rows] >= 0)
        valid[places, protocol.own_row[rows][places]] = False
        same = own[rows, None] == other
        if seen is not None and seen_by is not None:
            valid &= ~(same & (seen[rows, None] == seen_by) & (seen[rows, None] >= 0))
        places = np.minimum(((similarity + 1) * (BINS / 2)).astype(np.int64), BINS - 1)
        for kind, chosen in enumerate((valid & same, valid & ~same)):
            counts[kind] += np.bincount(places[chosen], minlength=BINS)
        best = np.where(valid & same, similarity, -2).max(1, initial=-2)
        nearest[rows] = np.where(best >= -1, best, np.nan)
    return Similarities(counts[0], counts[1], nearest)


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
    if umap and (found := _umap(points)) is not None:
        layouts["UMAP"] = found
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
        say("the map is laid out by PCA alone: for UMAP, pip install 'lookalike[report]'")
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
