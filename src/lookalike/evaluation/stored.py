"""Embeddings that are kept: made of any images, and evaluated without the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.console import say
from lookalike.data.any_image import folder_label
from lookalike.data.class_folders import RECIPE
from lookalike.data.exclusions import find_exclusions, without
from lookalike.data.image_files import PassedOver, find_images
from lookalike.data.layouts.registry import AUTO
from lookalike.data.manifest import Manifest
from lookalike.data.reading import has_layout, need_nothing_of_tables, read_data
from lookalike.data.tables import ManifestError
from lookalike.evaluation.embed import embed_rows
from lookalike.evaluation.streaming import need_one_model
from lookalike.files import atomic_folder
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import References
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.result import RetrievalResult


def evaluate_galleries(queries: References, references: References, **settings: Any) -> RetrievalResult:
    """Evaluates stored embeddings, such as `lookalike embed` writes; a file on both sides never finds itself.

    Args:
        queries: They ask.
        references: They are searched.
        **settings: Further arguments of `evaluate`.

    Raises:
        GalleryError: The two were made by different weights or pixel settings.
        EvaluationError: As `evaluate`.
    """
    need_one_model(queries.fingerprint, references.fingerprint)
    places = {references.file(row): row for row in range(len(references))}
    own = np.array([places.get(queries.file(row), -1) for row in range(len(queries))])
    given = (queries.embeddings, references.embeddings, queries.labels, references.labels)
    return evaluate(*given, **{"exclude_self": own if (own >= 0).any() else False, **settings})


def images_of(data: dict[str, Any]) -> tuple[Manifest, pd.DataFrame, tuple[str, ...]]:
    """The images of a data set (without augmented copies), or of any folder (label = name of its folder).

    Args:
        data: The settings of a data set, plain values.

    Returns:
        The manifest, those rows of it, and the images that could not be read, in words.

    Raises:
        ManifestError: No image there.
    """
    root = Path(str(data["root"])) if data["root"] else None
    passed = PassedOver()
    lost: tuple[str, ...] = ()
    wanted = data.get("layout") or AUTO
    if root is not None and root.is_dir() and not data.get("pattern") and not has_layout(root, wanted):
        need_nothing_of_tables(root, data)  # type: ignore[arg-type]  # settings as plain values
        images = find_images(root, passed)
        files = [file for file in images if not any((above / RECIPE).is_file() for above in file.parents)]
        rows = pd.DataFrame(
            {
                "path": [file.relative_to(root).as_posix() for file in files],
                "label": [folder_label(file) for file in files],
            }
        )
        listed_out = find_exclusions(Path(data["exclude"]) if data.get("exclude") else None, root, rows["path"])
        rows, notes = without(rows, *listed_out)
        lost = tuple(passed.lost)
        for note in [*passed.notes, *notes]:
            say(f"{root}: {note}")
        rows = rows.reset_index(drop=True)
        manifest = Manifest(root, rows)
    else:
        manifest = read_data(**data)
        rows, lost = manifest.original, manifest.lost
    if rows.empty:
        raise ManifestError(f"{root}: no image in it: give a folder of images or a .csv / .parquet table")
    return manifest, rows, lost


def embed_any(encoder: Encoder, data: dict[str, Any], output: Path) -> tuple[References, list[str]]:
    """Embeds a data set (without augmented copies) or any folder (label = name of its folder) into a gallery folder.

    Returns:
        What was written, and the reasons of the images that could not be used and are left out.

    Raises:
        ManifestError: No image there.
    """
    manifest, rows, lost = images_of(data)
    if output.exists() and not (output / "gallery.json").is_file():
        raise ManifestError(f"output={output}: exists and holds no embeddings: give the name of a new folder")
    errors: dict[int, str] = {}
    embeddings = embed_rows(encoder, manifest, rows, "images", errors)
    good = [row for row in range(len(rows)) if row not in errors]
    kept = rows.iloc[good]
    made = References(
        embeddings[good],
        kept["label"].tolist(),
        kept["path"].tolist(),
        manifest.root.resolve(),
        encoder.fingerprint,
        encoder.precision,
    )
    aside: list[Path] = []
    with atomic_folder(output.absolute(), kept=aside) as folder:
        made.save(folder)
    for earlier in aside:
        say(f"{output}: the earlier embeddings are kept as {output.with_name(earlier.name)}")
    return made, [*errors.values(), *lost]
