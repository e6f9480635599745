"""A trained embedder becomes a bundle: graph, parity check, gallery, metrics, model card. Nothing else writes one."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.pixels import PixelSettings
from lookalike.devices import multiplies_bf16
from lookalike.errors import LookalikeError
from lookalike.evaluation.embed import embed_protocol, embed_rows
from lookalike.evaluation.identify import evaluate_rows
from lookalike.evaluation.thresholds import against_gallery
from lookalike.export.graph import write_graph
from lookalike.export.model_card import model_card
from lookalike.files import atomic_folder, sha256_of, write_bytes
from lookalike.inference.bundle import Bundle, fingerprint_of, load_bundle, seal
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork, Precision
from lookalike.inference.references import Gallery
from lookalike.metrics.open_set import choose_thresholds
from lookalike.metrics.result import RetrievalResult
from lookalike.models.embedder import Embedder

PARITY_COSINE = 0.999
Image = tuple[Path, tuple[float, float, float, float] | None]  # a file and the box in it
_PARITY_IMAGES = 64
_PACKAGES = ("lookalike", "torch", "timm", "openvino", "numpy", "opencv-python-headless", "pillow")


class ExportError(LookalikeError):
    """The exported graph does not agree with torch."""


def export(
    path: Path,
    embedder: Embedder,
    manifest: Manifest,
    pixels: PixelSettings,
    config: dict[str, Any],
    false_accept_rate: float | None = None,
) -> tuple[Bundle, RetrievalResult]:
    """Writes a bundle, whole or not at all, and measures it on validation through its own graph.

    Args:
        path: `models/<run>`; what stands there is kept under a dated name.
        embedder: The trained network.
        manifest: The data set; its original training images become the gallery.
        pixels: How images are read.
        config: `model`, `loss`, `labels` and `training`, plain values.
        false_accept_rate: What `predict` keeps to unless told otherwise; None lets it never say unknown.

    Returns:
        The bundle and its validation result.

    Raises:
        ExportError: The graph and torch disagree on a real image.
    """
    embedder = embedder.cpu().eval()
    protocol = manifest.protocol("validation")
    with atomic_folder(path) as folder:
        weights = save({name: tensor.contiguous() for name, tensor in embedder.state_dict().items()})
        write_bytes(folder / "model.safetensors", weights)  # save_file would let nobody else read it
        write_graph(embedder, pixels, folder / "model.xml")
        fingerprint = fingerprint_of(sha256_of(folder / "model.safetensors"), pixels)
        asking = protocol.queries
        encoder, parity = _encoder(
            folder,
            embedder,
            pixels,
            fingerprint,
            [(manifest.file(path), box) for path, box in zip(asking["path"], boxes_of(asking), strict=True)],
        )
        queries, references = embed_protocol(encoder, manifest, protocol)
        result = evaluate_rows(queries, references, protocol)
        (folder / "gallery").mkdir()
        rows = manifest.known
        same = rows.index.equals(protocol.references.index)
        known = references if same else embed_rows(encoder, manifest, rows, "gallery")
        Gallery(
            known,
            rows["label"].tolist(),
            rows["path"].tolist(),
            manifest.root.resolve(),
            fingerprint,
            encoder.precision,
        ).save(folder / "gallery")
        asked = result if same else against_gallery(queries, references, protocol, known, rows["label"].tolist())
        config = {
            **config,
            "model": {**config["model"], "dimensions": embedder.embedding_size},
            "fingerprint": fingerprint,
            "pixels": pixels.to_dict(),
            "parity": parity,
            "precision": encoder.precision,
            "metrics": {"validation": result.to_dict()},
            "open_set": {
                "false_accept_rate": false_accept_rate,
                "thresholds": [one.to_dict() for one in choose_thresholds(asked.per_query, false_accept_rate)],
            },
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        write_bytes(folder / "README.md", model_card(path.name, config, str(result)).encode())
        seal(folder, config)
    return load_bundle(path), result


def _encoder(
    folder: Path, embedder: Embedder, pixels: PixelSettings, fingerprint: str, shown: list[Image]
) -> tuple[Encoder, dict[str, Any]]:
    """The network that `load_encoder` will choose here, and how every precision compares with torch on real images.

    Raises:
        ExportError: The float32 graph and torch disagree on an image.
    """
    chosen = [shown[i] for i in np.unique(np.linspace(0, len(shown) - 1, _PARITY_IMAGES).astype(int))]
    images = np.stack([read_image(file, pixels, box) for file, box in chosen])
    with torch.inference_mode():
        expected = embedder.embed(torch.from_numpy(images)).numpy()

    def compared(precision: Precision) -> tuple[Encoder, np.ndarray]:
        network = OpenVinoNetwork(folder / "model.xml", precision)
        encoder = Encoder(network, pixels, fingerprint, embedder.embedding_size, precision)
        return encoder, (expected * encoder.embed_arrays(images)).sum(1)

    encoder, cosine = compared("float32")
    if not cosine.min() >= PARITY_COSINE:
        worst = chosen[int(cosine.argmin())][0]
        raise ExportError(
            f"the exported graph disagrees with torch: cosine {cosine.min():.6f} on {worst}, expected at least "
            f"{PARITY_COSINE}: please report this with model.backbone and the versions of torch and openvino"
        )
    parity: dict[str, Any] = {"images": len(chosen), **_summary(cosine)}
    if multiplies_bf16():
        quick, cosine = compared("bf16")
        if cosine.min() >= PARITY_COSINE:  # else the bundle is served in float32
            encoder, parity["bf16"] = quick, _summary(cosine)
    return encoder, parity


def _summary(cosine: np.ndarray) -> dict[str, float]:
    return {"min_cosine": float(cosine.min()), "mean_cosine": float(cosine.mean())}
