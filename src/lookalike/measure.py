"""A bundle on a data set: embed the rows of a manifest, then evaluate or store them."""

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.bundle import Bundle
from lookalike.embed import Encoder
from lookalike.evaluate import RetrievalResult, evaluate
from lookalike.files import atomic_folder
from lookalike.gallery import Gallery
from lookalike.images import find_images
from lookalike.manifest import Manifest, ManifestError, Protocol, boxes_of, read_data
from lookalike.progress import progress


def evaluate_split(bundle: Bundle, encoder: Encoder, data: dict[str, object], split: str) -> RetrievalResult:
    """Measures a bundle on a split of a data set.

    Args:
        bundle: Its own hold-out settings are used when `data` asks for none, so that the same images are held out.
        encoder: Its network.
        data: `root`, `validation_share`, `seed`.
        split: train, validation or test.

    Raises:
        ManifestError: Problems in the data, or an empty split.
        ImageError: An image cannot be used; a figure without it would not be comparable.
    """
    trained = bundle.config["training"]["settings"]["data"]
    if not data["validation_share"]:
        data = {**data, "validation_share": trained["validation_share"], "seed": trained["seed"]}
    manifest = read_data(**data)  # type: ignore[arg-type]
    protocol = manifest.protocol(split)
    references = embed_rows(encoder, manifest, protocol.references, "references")
    return evaluate_rows(embed_rows(encoder, manifest, protocol.queries, "queries"), references, protocol)


def evaluate_rows(queries: np.ndarray, references: np.ndarray, protocol: Protocol) -> RetrievalResult:
    """Evaluates embeddings of a protocol's queries [Q, D] and references [R, D]."""
    cameras = [
        None if rows["camera"].isna().any() else rows["camera"].to_numpy(np.int64)
        for rows in (protocol.queries, protocol.references)
    ]
    return evaluate(
        queries,
        references,
        protocol.queries["label"].tolist(),
        protocol.references["label"].tolist(),
        query_cameras=cameras[0],
        reference_cameras=cameras[1],
        ignore=protocol.references["ignore"].to_numpy(bool),
        exclude_self=protocol.own_row if (protocol.own_row >= 0).any() else False,
    )


def embed_rows(
    encoder: Encoder, manifest: Manifest, rows: pd.DataFrame, title: str, errors: dict[int, str] | None = None
) -> np.ndarray:
    """Embeds rows of a manifest, float32 [N, D]; see `Encoder.embed` for `errors`."""
    with progress(f"embedding {title}", len(rows)) as advance:
        files = [manifest.file(path) for path in rows["path"]]
        return encoder.embed(files, boxes_of(rows), errors=errors, progress=advance)


def embed_any(encoder: Encoder, data: dict[str, object], output: Path) -> tuple[Gallery, list[str]]:
    """Embeds every image of a folder (label = name of its folder) or of a table, and writes a gallery folder.

    Returns:
        What was written, and the reasons of the images that could not be used and are left out.

    Raises:
        ManifestError: No image there.
    """
    root = Path(str(data["root"])) if data["root"] else None
    if root is not None and root.is_dir():
        files = find_images(root)
        rows = pd.DataFrame(
            {
                "path": [file.relative_to(root).as_posix() for file in files],
                "label": [file.parent.name for file in files],
            }
        )
        manifest = Manifest(root, rows)
    else:
        manifest = read_data(**data)  # type: ignore[arg-type]
        rows = manifest.table
    if rows.empty:
        raise ManifestError(f"{root}: no image in it: give a folder of images or a .csv / .parquet table")
    errors: dict[int, str] = {}
    embeddings = embed_rows(encoder, manifest, rows, "images", errors)
    good = [row for row in range(len(rows)) if row not in errors]
    kept = rows.iloc[good]
    gallery = Gallery(
        embeddings[good], kept["label"].tolist(), kept["path"].tolist(), manifest.root.resolve(), encoder.fingerprint
    )
    with atomic_folder(output) as folder:
        gallery.save(folder)
    return gallery, list(errors.values())
