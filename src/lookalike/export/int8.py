"""A bundle in int8: its graph quantised after training (NNCF), taken only if the figures on validation stay.

Weights and activations become 8-bit integers by the ranges that real training images show (Jacob et al. 2018,
arXiv:1712.05877). What follows the trunk (pooling, head, unit length) stays float32: it is a thousandth of the work,
and with a quantised norm embeddings would not have unit length.

Letters in shapes: N images, B batch, H height, W width, Q queries, R references, D embedding.
"""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from lookalike.console import say
from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import evaluate_rows
from lookalike.evaluation.thresholds import open_set_of
from lookalike.export.model_card import model_card
from lookalike.export.nncf_int8 import ATTEMPTS, QuantizeError, import_nncf, quantize_graph
from lookalike.export.reference_images import ReferenceImages
from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, fingerprint_of
from lookalike.inference.bundle_config import BundleConfig, MeasuredConfig, Quantized
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.inference.references import References
from lookalike.metrics.result import RetrievalResult

_FIGURES = {"accuracy@1": "accuracy@1", "map": "mAP"}


@dataclass(frozen=True)
class Comparison:
    """A float32 graph and its int8 form on the same validation images.

    Attributes:
        before: Of the float32 graph.
        after: Of the int8 graph, which embedded queries and references.
        min_cosine: The least cosine between both embeddings of a query.
        mean_cosine: The mean of them.
        preset: How it was quantised: a key of the attempts.
    """

    before: RetrievalResult
    after: RetrievalResult
    min_cosine: float
    mean_cosine: float
    preset: str

    @property
    def loss(self) -> float:
        """By how much accuracy@1 or mAP falls, whichever falls more (share, negative when both rise)."""
        return max(self.before.metrics[name] - self.after.metrics[name] for name in _FIGURES)

    def __str__(self) -> str:
        return ", ".join(
            f"{text} {self.before.metrics[name]:.4f} -> {self.after.metrics[name]:.4f}"
            for name, text in _FIGURES.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        before, after = ({name: result.metrics[name] for name in _FIGURES} for result in (self.before, self.after))
        cosines = {"min_cosine": self.min_cosine, "mean_cosine": self.mean_cosine}
        return {"preset": self.preset, "before": before, "after": after, **cosines}


@dataclass(frozen=True)
class _Accepted:
    """What is known of the graph that is taken; `queries` [Q, D] and `references` [R, D] are embedded by it."""

    graph: Path
    encoder: Encoder
    queries: np.ndarray
    references: np.ndarray
    comparison: Comparison


@dataclass(frozen=True)
class _Attempts:
    """Ways to quantise one graph.

    Attributes:
        nncf: The package.
        graph: The float32 graph.
        float32: Its encoder.
        examples: Training images, uint8 [1, H, W, 3] each.
        scratch: Where graphs are written.
    """

    nncf: ModuleType
    graph: Path
    float32: Encoder
    examples: list[np.ndarray]
    scratch: Path

    def first_accepted(self, manifest: Manifest, protocol: Protocol, max_loss: float) -> _Accepted:
        """The first attempt that loses no more than allowed.

        Raises:
            QuantizeError: There is none.
        """
        expected, references = embed_protocol(self.float32, manifest, protocol)
        before = evaluate_rows(expected, references, protocol)
        best: Comparison | None = None
        for number, preset in enumerate(ATTEMPTS):
            graph = self.scratch / f"{number}.xml"  # one each: a compiled graph may still read its file
            quantize_graph(self.nncf, self.graph, self.examples, preset, graph)
            fingerprint = fingerprint_of(sha256_of(graph.with_suffix(".bin")), self.float32.pixels)
            encoder = Encoder(OpenVinoNetwork(graph), self.float32.pixels, fingerprint, self.float32.size, "int8")
            queries, references = embed_protocol(encoder, manifest, protocol)
            cosine = (queries * expected).sum(1) / np.linalg.norm(queries, axis=1) / np.linalg.norm(expected, axis=1)
            after = evaluate_rows(queries, references, protocol)
            comparison = Comparison(before, after, float(cosine.min()), float(cosine.mean()), preset)
            accepted = comparison.loss <= max_loss + 1e-9
            verdict = "taken" if accepted else "loses too much"
            say(f"int8, {preset}: {comparison}, cosine at least {cosine.min():.4f}: {verdict}")
            if accepted:
                return _Accepted(graph, encoder, queries, references, comparison)
            best = comparison if best is None or comparison.loss < best.loss else best
        assert best is not None
        raise QuantizeError(
            f"int8 loses too much: expected accuracy@1 and mAP to fall by at most {max_loss:g}, found {best} "
            f"({best.preset}, the best of {len(ATTEMPTS)} ways): keep the float32 bundle, give more images=..., "
            f"or accept it with max_loss={np.ceil(best.loss * 1000) / 1000:g}"
        )


def quantize(
    bundle: Bundle, manifest: Manifest, output: Path, *, images: int = 300, max_loss: float = 0.002, seed: int = 0
) -> tuple[Bundle, Comparison]:
    """Writes the int8 form of a bundle, whole or not at all, if its figures on validation stay.

    Tries quantisation that is symmetric everywhere, then with asymmetric activations, then with exactly corrected
    biases, and takes the first whose accuracy@1 and mAP both stay within `max_loss`.

    Args:
        bundle: One that is not quantised yet; its float32 graph is what int8 is compared with.
        manifest: Its data set: training images show the ranges, validation images decide.
        output: The new folder; what stands there is kept under a dated name.
        images: Training images that show the ranges, spread over the labels; all of them where there are fewer.
        max_loss: By how much accuracy@1 and mAP may fall (share, 0 to 1).
        seed: Which training images.

    Returns:
        The new bundle, and its figures beside those of the old one.

    Raises:
        QuantizeError: No NNCF here, nothing to quantise, images of the gallery gone, or too much is lost.
        ManifestError: There is no validation split.
        ImageError: An image cannot be used.
    """
    if bundle.config.precision == "int8":
        raise QuantizeError(
            f"{bundle.path}: expected a bundle that is not quantised yet, found int8: give the one it was made from"
        )
    if images < 1 or not 0 <= max_loss <= 1:
        raise QuantizeError(
            f"expected images of 1 or more and max_loss from 0 to 1, found images={images}, max_loss={max_loss:g}: "
            "the defaults are images=300 max_loss=0.002"
        )
    protocol = manifest.protocol("validation")
    nncf = import_nncf()
    originals = ReferenceImages(bundle.references, manifest, len(bundle.references) - len(bundle.training_references))
    float32 = Encoder(OpenVinoNetwork(bundle.graph), bundle.pixels, bundle.fingerprint, bundle.config.model.size)
    originals.check(float32)
    examples = _examples(manifest, bundle, images, seed)
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        attempts = _Attempts(nncf, bundle.graph, float32, examples, Path(scratch))
        accepted = attempts.first_accepted(manifest, protocol, max_loss)
        references = originals.embed(accepted.encoder, protocol, accepted.references)
        trained, about = references.first(originals.trained), {"images": len(examples), "seed": seed}
        config = _config(bundle, accepted, trained, protocol, about)
        card = model_card(output.name, config, str(accepted.comparison.after))
        made = write_bundle(output, config, BundleParts(bundle.weights, accepted.graph, references, card))
    return made, accepted.comparison


def _config(
    bundle: Bundle, accepted: _Accepted, references: References, protocol: Protocol, about: dict[str, int]
) -> BundleConfig:
    """Everything that the graph made is made anew, the rest is kept; `references` are those of training."""
    comparison, old = accepted.comparison, bundle.config
    versions = {name: importlib.metadata.version(name) for name in ("openvino", "nncf")}
    unknowns, rate = old.open_set.unknowns, old.open_set.false_accept_rate
    given = comparison.after, accepted.queries, accepted.references, protocol, references, rate
    folds = unknowns if unknowns is not None and unknowns.folds else None
    changes = {
        "precision": "int8",
        "fingerprint": references.fingerprint,
        "quantized": Quantized.model_validate({"from": bundle.fingerprint, **about, **comparison.to_dict()}),
        "parity": old.parity.model_copy(update={"bf16": None}),
        "metrics": {**old.metrics, "validation": MeasuredConfig.model_validate(comparison.after.to_dict())},
        "open_set": open_set_of(*given, trained=old.labels, folds=folds),
        "versions": {**old.versions, **versions},
    }
    return old.model_copy(update=changes)


def _examples(manifest: Manifest, bundle: Bundle, images: int, seed: int) -> list[np.ndarray]:
    """Training images, uint8 [1, H, W, 3] each: one of every label, then a second of every label, and so on."""
    rows = manifest.gallery_rows
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    turn = shuffled.groupby("label", sort=False).cumcount().to_numpy()
    chosen = shuffled.iloc[np.argsort(turn, kind="stable")[:images]]
    if chosen.empty:
        raise QuantizeError(
            f"{manifest.root}: expected training images to see the range of every layer, found none: "
            "give data.root=<the data set the bundle was trained on>"
        )
    files = [manifest.file(path) for path in chosen["path"]]
    return [read_image(file, bundle.pixels, box)[None] for file, box in zip(files, boxes_of(chosen), strict=True)]
