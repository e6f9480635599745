"""The one writer of bundles, float32 and int8 alike: a folder written whole or not at all."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lookalike.files import atomic_folder, sha256_of, write_bytes, write_json
from lookalike.inference.bundle import CARD, CONFIG, GRAPH, REFERENCES, WEIGHTS, Bundle, checksum_of, load_bundle
from lookalike.inference.bundle_config import BundleConfig
from lookalike.inference.references import References


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made of, besides its settings.

    Attributes:
        weights: A `.safetensors` file, which is copied.
        graph: An OpenVINO graph (.xml, its .bin beside it), which is copied.
        references: The images it knows.
        card: The model card, Markdown.
    """

    weights: Path
    graph: Path
    references: References
    card: str


def write_bundle(path: Path, config: BundleConfig, parts: BundleParts) -> Bundle:
    """Writes a bundle; what stands at `path` is kept under a dated name.

    Args:
        path: The new folder.
        config: Its settings.
        parts: Everything else.

    Raises:
        DiskFullError: There is no room; `path` keeps its previous content.
    """
    with atomic_folder(path) as folder:
        shutil.copyfile(parts.weights, folder / WEIGHTS)
        for suffix in (".xml", ".bin"):
            shutil.copyfile(parts.graph.with_suffix(suffix), (folder / GRAPH).with_suffix(suffix))
        (folder / REFERENCES).mkdir()
        parts.references.save(folder / REFERENCES)
        write_bytes(folder / CARD, parts.card.encode())
        files = {
            file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
        }
        content = {**config.to_json(), "files": files}
        write_json(folder / CONFIG, {**content, "checksum": checksum_of(content)})
    return load_bundle(path)
