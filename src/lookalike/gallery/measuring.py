"""How well photographs are named by a gallery as it is: every one of them asks, all enrolled images answer.

Letters in shapes: Q queries.
"""

import os
from typing import Any

import numpy as np
import pandas as pd

from lookalike.data.manifest import boxes_of
from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.assessment import Assessment, Embedded
from lookalike.evaluation.embed import embed_rows
from lookalike.evaluation.identify import Rules, identify
from lookalike.evaluation.stored import images_of
from lookalike.files import readable
from lookalike.gallery.searchable import Searchable
from lookalike.gallery.unknown_limit import limits_within
from lookalike.inference.references import References

ALL = "all"  # in the place of a split: a folder without splits


def measure(gallery: Searchable, data: dict[str, Any], split: str | None, rules: Rules) -> Assessment:
    """Identifies photographs from all enrolled images; one that is enrolled itself never finds itself.

    Args:
        gallery: What is searched.
        data: The settings of a data set, plain values: class folders, a table, or any folder whose folders are labels.
        split: Only the images of this split; None for all.
        rules: How embeddings are compared.

    Raises:
        GalleryError: The gallery is empty.
        ManifestError: No image there, or none of the split.
        ImageError: An image cannot be used.
    """
    references, numbers = gallery.enrolled()
    manifest, rows, _ = images_of(data)
    if "split" not in rows or not (rows["split"] != "").any():
        split = None  # a folder without splits: all of it asks
    if split is not None:
        rows = rows[rows["split"] == split]
    if "ignore" in rows:
        rows = rows[~rows["ignore"].to_numpy(bool)]
    queries = rows.reset_index(drop=True)
    if "camera" not in queries:
        queries = queries.assign(camera=pd.array([pd.NA] * len(queries), "Int64"))
    if queries.empty:
        raise ManifestError(f"{manifest.root}: no image of split {split} in it: give another split")
    asking = embed_rows(gallery.encoder, manifest, queries, "queries")
    files = [""] * len(queries) if any(boxes_of(queries)) else [str(manifest.file(path)) for path in queries["path"]]
    own, copies = _enrolled(asking, files, references)
    sources = list(references.paths)
    answering = pd.DataFrame(
        {
            "path": sources,
            "label": references.labels,
            "camera": pd.array(gallery.cameras(numbers), "Int64"),
            "ignore": False,
        }
    )
    protocol = Protocol(
        answering,
        queries,
        own,
        split or "",
        copies=copies,
        copies_kept=copies > 0,
        searched=f"the gallery {gallery.path}",
    )
    embedded = Embedded(asking, references.embeddings)
    identification = identify(embedded.queries, embedded.references, protocol, rules)
    about = {"gallery": str(gallery.path), "fingerprint": references.fingerprint, "data": str(manifest.root)}
    return Assessment(
        gallery.name,
        identification,
        manifest,
        protocol,
        split or ALL,
        rules.camera_rule,
        about,
        embedded,
        limits_within(references, getattr(gallery.model, "labels", ())) if "auroc" in identification.metrics else None,
        "a gallery has thresholds from two labels on",
        references.thumbnails,
    )


def of_enrolled(assessment: Assessment) -> list[str]:
    """The accuracy over the queries whose label is enrolled, in a line; none where all are.

    Args:
        assessment: Of `measure`.
    """
    per_query = assessment.identification.whole.per_query
    enrolled = per_query["known"].to_numpy(bool)
    if enrolled.all() or not enrolled.any():
        return []
    right = float(per_query.loc[enrolled, "accuracy@1"].mean())
    return [
        f"accuracy over the queries whose label is enrolled, {int(enrolled.sum())} of {len(enrolled)}: {right:.4f}; "
        "the others count as wrong above"
    ]


def _enrolled(asking: np.ndarray, files: list[str], references: References) -> tuple[np.ndarray, int]:
    """The row of every query that is enrolled itself, int64 [Q], -1 for none; and how many have further copies there.

    An image is known by its embedding, which every copy of its file has to the last bit, or else by its file; parts of
    one file are several images, so they come with "" for a file.
    """
    rows: dict[bytes, list[int]] = {embedding.tobytes(): [] for embedding in asking}
    for row, embedding in enumerate(references.embeddings):
        if (same := rows.get(embedding.tobytes())) is not None:
            same.append(row)
    real = [readable(os.path.realpath(file)) if file else "" for file in files]
    wanted = set(real) - {""}
    places = {source: row for row, source in enumerate(references.paths) if source in wanted}
    own = np.full(len(files), -1, np.int64)
    copies = 0
    for query, (embedding, file) in enumerate(zip(asking, real, strict=True)):
        same = rows[embedding.tobytes()]
        own[query] = same[0] if same else places.get(file, -1)
        copies += len(same) > 1
    return own, copies
