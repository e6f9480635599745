"""A trained embedder becomes a bundle: graph, parity with torch, references, figures on validation, model card.

Letters in shapes: N images, Q queries, D embedding.
"""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.pixels import PixelSettings
from lookalike.data.protocol import Protocol
from lookalike.evaluation.embed import embed_protocol, embed_rows
from lookalike.evaluation.identify import evaluate_rows
from lookalike.evaluation.thresholds import open_set_of
from lookalike.export.graph import write_graph
from lookalike.export.model_card import model_card
from lookalike.export.parity import agreeing_encoder
from lookalike.files import sha256_of, write_bytes
from lookalike.inference.bundle import Bundle, fingerprint_of
from lookalike.inference.bundle_config import (
    BundleConfig,
    IncludedConfig,
    MeasuredConfig,
    NetworkConfig,
    Parity,
    TrainingSummary,
    UnknownsConfig,
    VoteConfig,
)
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import References
from lookalike.metrics.evenly import evenly
from lookalike.metrics.result import RetrievalResult
from lookalike.metrics.votes import choose_vote
from lookalike.models.embedder import Embedder
from lookalike.models.image_network import ImageNetwork

_PARITY_IMAGES = 64
_PACKAGES = ("lookalike", "torch", "timm", "openvino", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    Attributes:
        embedder: The network.
        model: What rebuilds it.
        pixels: How images are read.
        loss: Name and settings of the loss.
        training: The run.
    """

    embedder: Embedder
    model: NetworkConfig
    pixels: PixelSettings
    loss: dict[str, Any]
    training: TrainingSummary


def export(
    path: Path,
    trained: Trained,
    manifest: Manifest,
    false_accept_rate: float | None = None,
    folds: UnknownsConfig | None = None,
    include_validation: bool = False,
) -> tuple[Bundle, RetrievalResult]:
    """Writes a bundle, whole or not at all, and measures it on validation through its own graph.

    Args:
        path: `models/<run>`; what stands there is kept under a dated name.
        trained: The network.
        manifest: The data set; its original training images become the references.
        false_accept_rate: What `predict` keeps to unless told otherwise; None lets it never say unknown.
        folds: Unknown images that thresholds are chosen by; None for those of validation.
        include_validation: The images of validation join the references once everything is measured without them.

    Returns:
        The bundle and its validation result.

    Raises:
        ExportError: The graph and torch disagree on a real image.
    """
    embedder, pixels = trained.embedder.cpu().eval(), trained.pixels
    protocol = manifest.protocol("validation")
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        weights, graph = Path(scratch) / "model.safetensors", Path(scratch) / "model.xml"
        fingerprint = write_weights(embedder, pixels, weights)
        write_graph(embedder, pixels, graph)
        encoder, parity = _encoder(graph, trained, fingerprint, manifest, protocol)
        queries, references = embed_protocol(encoder, manifest, protocol)
        result = evaluate_rows(queries, references, protocol)
        gallery = _references(encoder, manifest, protocol, references)
        joining = manifest.joining_rows if include_validation else None
        config = BundleConfig(
            run=path.name,
            model=trained.model.model_copy(update={"dimensions": embedder.embedding_size}),
            pixels=pixels,
            loss=trained.loss,
            labels=manifest.labels,
            training=trained.training,
            fingerprint=fingerprint,
            parity=parity,
            precision=encoder.precision,
            metrics={"validation": MeasuredConfig.model_validate(result.to_dict())},
            open_set=open_set_of(
                result,
                queries,
                references,
                protocol,
                gallery,
                false_accept_rate,
                trained=manifest.labels,
                folds=folds,
            ),
            vote=vote_of(result, protocol),
            versions={name: importlib.metadata.version(name) for name in _PACKAGES},
            included=None if joining is None else _included(manifest, joining),
        )
        card = model_card(path.name, config, str(result))
        if joining is not None:
            also = _also(encoder, manifest, joining, protocol, queries)
            gallery = gallery.followed_by(also, joining["label"].tolist(), joining["path"].tolist())
        return write_bundle(path, config, BundleParts(weights, graph, gallery, card)), result


def vote_of(result: RetrievalResult, protocol: Protocol) -> VoteConfig:
    """How neighbours vote where no k is given: what names most validation queries rightly."""
    names = np.array([*protocol.references["label"], None], object)
    rows = result.neighbours
    k, weighted = choose_vote(names[rows], result.neighbour_similarity, protocol.queries["label"].to_numpy(object))
    return VoteConfig(k=k, weighted=weighted)


def write_weights(embedder: ImageNetwork, pixels: PixelSettings, file: Path) -> str:
    """Writes the weights as safetensors; returns the fingerprint of weights and pixel settings."""
    tensors = {name: tensor.contiguous() for name, tensor in embedder.state_dict().items()}
    write_bytes(file, save(tensors))  # save_file would let nobody else read it
    return fingerprint_of(sha256_of(file), pixels)


def _encoder(
    graph: Path, trained: Trained, fingerprint: str, manifest: Manifest, protocol: Protocol
) -> tuple[Encoder, Parity]:
    """Compared with torch on up to 64 validation queries."""
    asking = protocol.queries
    rows = asking.iloc[evenly(len(asking), _PARITY_IMAGES)]
    files = [manifest.file(path) for path in rows["path"]]
    images = [read_image(file, trained.pixels, box) for file, box in zip(files, boxes_of(rows), strict=True)]
    return agreeing_encoder(
        graph, trained.embedder, trained.pixels, fingerprint, np.stack(images), [str(file) for file in files]
    )


def _references(encoder: Encoder, manifest: Manifest, protocol: Protocol, references: np.ndarray) -> References:
    """The original training images; embedded already where they are those of the protocol."""
    rows = manifest.gallery_rows
    same = rows.index.equals(protocol.references.index)
    return References(
        references if same else embed_rows(encoder, manifest, rows, "gallery"),
        rows["label"].tolist(),
        rows["path"].tolist(),
        manifest.root.resolve(),
        encoder.fingerprint,
        encoder.precision,
    )


def _included(manifest: Manifest, joining: pd.DataFrame) -> IncludedConfig:
    """What is told of the images of validation that join."""
    original = manifest.original
    there = (original["split"] == "validation") & ~original["ignore"]
    labels = set(joining["label"])
    return IncludedConfig(
        images=len(joining),
        labels=len(labels),
        untrained_labels=len(labels - set(manifest.labels)),
        copies=int(there.sum()) - len(joining),
    )


def _also(
    encoder: Encoder, manifest: Manifest, joining: pd.DataFrame, protocol: Protocol, queries: np.ndarray
) -> np.ndarray:
    """The images that join, float32 [N, D]; embedded already where they all asked."""
    rows = protocol.queries.index.get_indexer(joining.index)
    return queries[rows] if (rows >= 0).all() else embed_rows(encoder, manifest, joining, "gallery")
