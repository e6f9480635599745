"""A bundle on a data set: embed the rows of a manifest, then evaluate or store them."""

import os
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd

from lookalike.bundle import Bundle
from lookalike.embed import Encoder
from lookalike.evaluate import RetrievalResult, evaluate
from lookalike.files import atomic_folder
from lookalike.gallery import Gallery
from lookalike.images import find_broken, find_images
from lookalike.manifest import RECIPE, Manifest, ManifestError, Protocol, boxes_of, read_data
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
    rows = (protocol.queries, protocol.references)
    known = any(part["camera"].notna().any() for part in rows)
    # A missing camera is the same as no other: -1 among queries, -2 among references.
    cameras = [
        part["camera"].fillna(own).to_numpy(np.int64) if known else None
        for part, own in zip(rows, (-1, -2), strict=True)
    ]
    result = evaluate(
        queries,
        references,
        protocol.queries["label"].tolist(),
        protocol.references["label"].tolist(),
        query_cameras=cameras[0],
        reference_cameras=cameras[1],
        ignore=protocol.references["ignore"].to_numpy(bool),
        exclude_self=protocol.own_row if (protocol.own_row >= 0).any() else False,
    )
    return replace(result, protocol=f"{protocol.text}; {result.protocol}")


def broken_images(manifest: Manifest, rows: pd.DataFrame) -> list[str]:
    """Decodes the images of some rows; returns why each unusable one is unusable."""
    files = [manifest.file(path) for path in rows["path"].unique()]
    with progress("checking images", len(files)) as advance:
        return find_broken(files, os.cpu_count() or 1, lambda: advance(1))


def embed_rows(
    encoder: Encoder, manifest: Manifest, rows: pd.DataFrame, title: str, errors: dict[int, str] | None = None
) -> np.ndarray:
    """Embeds rows of a manifest, float32 [N, D]; see `Encoder.embed` for `errors`."""
    with progress(f"embedding {title}", len(rows)) as advance:
        files = [manifest.file(path) for path in rows["path"]]
        return encoder.embed(files, boxes_of(rows), errors=errors, progress=advance)


def embed_any(encoder: Encoder, data: dict[str, object], output: Path) -> tuple[Gallery, list[str]]:
    """Embeds a data set (without augmented copies) or any folder (label = name of its folder) into a gallery folder.

    Returns:
        What was written, and the reasons of the images that could not be used and are left out.

    Raises:
        ManifestError: No image there.
    """
    root = Path(str(data["root"])) if data["root"] else None
    if root is not None and root.is_dir() and not (root / "train").is_dir():
        files = [file for file in find_images(root) if not any((above / RECIPE).is_file() for above in file.parents)]
        rows = pd.DataFrame(
            {
                "path": [file.relative_to(root).as_posix() for file in files],
                "label": [normalize("NFC", file.parent.name) for file in files],
            }
        )
        manifest = Manifest(root, rows)
    else:
        manifest = read_data(**data)  # type: ignore[arg-type]
        rows = manifest.original
    if rows.empty:
        raise ManifestError(f"{root}: no image in it: give a folder of images or a .csv / .parquet table")
    if output.exists() and not (output / "gallery.json").is_file():
        raise ManifestError(f"output={output}: exists and holds no embeddings: give the name of a new folder")
    errors: dict[int, str] = {}
    embeddings = embed_rows(encoder, manifest, rows, "images", errors)
    good = [row for row in range(len(rows)) if row not in errors]
    kept = rows.iloc[good]
    gallery = Gallery(
        embeddings[good], kept["label"].tolist(), kept["path"].tolist(), manifest.root.resolve(), encoder.fingerprint
    )
    with atomic_folder(output.absolute()) as folder:
        gallery.save(folder)
    return gallery, list(errors.values())
