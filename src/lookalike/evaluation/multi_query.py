"""Market-1501's multi-query: all images of a person under one camera ask together, not one of them.

Zheng et al., ICCV 2015, section 5 (mean and maximum); the images lie in `gt_bbox/`, beside `query/`, and a query takes
those of its own person and camera, as evaluate_gpu.py of layumi/Person_reID_baseline_pytorch does.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from lookalike.console import say
from lookalike.data.copies import without_copies
from lookalike.data.image_files import PassedOver, entries_of, has_folder, is_image_name
from lookalike.data.layouts.market import GROUND_TRUTH, QUERIES, label_and_camera
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.evaluation.tracklets import Pool
from lookalike.files import readable

_LAYOUTS = ("market1501", "market-folders")


def multi_query(manifest: Manifest, protocol: Protocol, pool: Pool | None) -> Protocol:
    """The protocol whose queries are all images of each query's person and camera, as one tracklet for each query.

    Args:
        manifest: The data set.
        protocol: One of its own, image by image.
        pool: As in `Rules`.

    Returns:
        The protocol as it is where pooling is not asked for, or there is no `gt_bbox/` beside the images that ask.
    """
    root = manifest.root
    asked = pool in ("mean", "max") and manifest.layout in _LAYOUTS and has_folder(root, GROUND_TRUTH)
    if not asked or not protocol.queries["path"].str.startswith(f"{QUERIES}/").all():
        return protocol
    images: dict[tuple[str, int | None], list[str]] = {}
    for path, is_folder in entries_of(root / GROUND_TRUTH, PassedOver()):
        said = label_and_camera(path.name) if not is_folder and is_image_name(path.name) else None
        if said and readable(path.name) == path.name:
            images.setdefault(said, []).append(f"{GROUND_TRUTH}/{path.name}")
    queries = protocol.queries
    cameras = [None if pd.isna(camera) else int(camera) for camera in queries["camera"]]
    keys = list(zip(queries["label"], cameras, strict=True))
    alone = sum(key not in images for key in keys)
    if alone:
        say(
            f"{root}: {alone} of {len(keys)} queries have no image of their person and camera in {GROUND_TRUTH}/: they "
            "ask alone"
        )
    several = [images.get(key, [path]) for key, path in zip(keys, queries["path"], strict=True)]
    rows = queries.iloc[np.repeat(np.arange(len(queries)), [len(paths) for paths in several])]
    rows = rows.assign(tracklet=rows["path"].to_numpy(), path=[path for paths in several for path in paths])
    rows = rows.reset_index(drop=True).set_axis([f"{GROUND_TRUTH} {row}" for row in range(len(rows))])
    made = replace(protocol, queries=rows, own_row=np.full(len(rows), -1), copies=0, several=f"{GROUND_TRUTH}/")
    boxes = boxes_of(rows), boxes_of(protocol.references)
    return without_copies(made, manifest.file, boxes, manifest.keep_copies)
