"""What a person wants to see of a trained model on a split: everything its page shows, as plain values.

Letters in shapes: Q queries, R references, D embedding, P points of the map.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lookalike.data.dataset import read_data
from lookalike.data.images import ImageError, read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.pixels import PixelSettings
from lookalike.data.protocol import Protocol
from lookalike.evaluation.assessment import worst_rows
from lookalike.evaluation.checks import need_cameras, twice
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Identification, Rules, identify
from lookalike.evaluation.split import held_out_as_in
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.encoder import load_encoder
from lookalike.reports.map import Map, lay_out
from lookalike.reports.similarities import Similarities, compare_similarities


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
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    @property
    def nearest_genuine(self) -> np.ndarray:
        """Similarity of each query to the nearest reference of its own label, where there is one."""
        values = self.similarities.nearest_genuine
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    @property
    def thresholds(self) -> list[dict[str, float]]:
        """Of the bundle: false_accept_rate and similarity of each."""
        return list(self.bundle.config.get("open_set", {}).get("thresholds", []))

    @property
    def of_training(self) -> bool:
        """Whether the validation split is, by its counts, the one that the epoch was chosen on."""
        chosen = self.bundle.config.get("metrics", {}).get("validation", {}).get("counts", {})
        counts = self.identification.result.counts
        return all(chosen.get(name) == counts[name] for name in ("queries", "references", "distractors"))

    def per_class(self) -> pd.DataFrame:
        """A row per label of a query, worst first: queries, references, accuracy@1, map, most often taken for."""
        table = self.identification.result.per_label()
        references = self.protocol.references.loc[~self.protocol.references["ignore"].to_numpy(bool), "label"]
        table.insert(2, "references", table["label"].map(references.value_counts()).fillna(0).astype(int))
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
        image = table.iloc[[row]]
        file, boxes = self.manifest.file(image["path"].iloc[0]), boxes_of(image)
        try:
            pixels = read_image(file, PixelSettings(side, side, "pad"), boxes[0] if boxes else None)
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
