"""How well photographs are named by a gallery as it is: every one of them asks, all enrolled images answer.

Letters in shapes: Q queries.
"""

import os
from typing import Any

import numpy as np
import pandas as pd

from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.assessment import Assessment, Embedded
from lookalike.evaluation.embed import embed_rows
from lookalike.evaluation.identify import Rules, identify
from lookalike.evaluation.stored import images_of
from lookalike.files import readable
from lookalike.gallery.searchable import Searchable


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
    if split is not None and "split" in rows and (rows["split"] != "").any():
        rows = rows[rows["split"] == split]
    if "ignore" in rows:
        rows = rows[~rows["ignore"].to_numpy(bool)]
    queries = rows.reset_index(drop=True)
    if "camera" not in queries:
        queries = queries.assign(camera=pd.array([pd.NA] * len(queries), "Int64"))
    if queries.empty:
        raise ManifestError(
            f"{manifest.root}: no image of split {split} in it: give another split, or split=null for all"
        )
    sources = list(references.paths)
    places = {source: row for row, source in enumerate(sources)}
    own = [places.get(readable(os.path.realpath(manifest.file(path))), -1) for path in queries["path"]]
    answering = pd.DataFrame(
        {
            "path": sources,
            "label": references.labels,
            "camera": pd.array(gallery.cameras(numbers), "Int64"),
            "ignore": False,
        }
    )
    protocol = Protocol(
        answering, queries, np.array(own, np.int64), split or "", searched=f"the gallery {gallery.path}"
    )
    embedded = Embedded(embed_rows(gallery.encoder, manifest, queries, "queries"), references.embeddings)
    identification = identify(embedded.queries, embedded.references, protocol, rules)
    about = {"gallery": str(gallery.path), "fingerprint": references.fingerprint, "data": str(manifest.root)}
    return Assessment(
        gallery.name,
        identification,
        manifest,
        protocol,
        split or "all",
        rules.camera_rule,
        about,
        embedded,
        thumbnails=references.thumbnails,
    )
