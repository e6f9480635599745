"""A bundle in int8: its graph quantised after training (NNCF), taken only if the figures on validation stay.

Weights and activations become 8-bit integers by the ranges that real training images show (Jacob et al. 2018,
arXiv:1712.05877). What follows the trunk (pooling, head, unit length) stays float32: it is a thousandth of the work,
and with a quantised norm embeddings would not have unit length.

Letters in shapes: N images, B batch, H height, W width, Q queries, R references, D embedding.
"""

import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from lookalike.console import say
from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import evaluate_rows
from lookalike.evaluation.thresholds import against_gallery
from lookalike.export.model_card import model_card
from lookalike.export.nncf_int8 import ATTEMPTS, QuantizeError, import_nncf, quantize_graph
from lookalike.files import atomic_folder, sha256_of, write_bytes
from lookalike.inference.bundle import Bundle, fingerprint_of, load_bundle, seal
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.inference.references import Gallery
from lookalike.metrics.open_set import choose_thresholds
from lookalike.metrics.result import RetrievalResult

_FIGURES = {"accuracy@1": "accuracy@1", "map": "mAP"}
_CHECKED = 16  # images of the gallery, embedded once more in float32
_SAME = 0.001  # cosine by which another embedding may be nearer to one of them than its own


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
        before, after = ({name: one.metrics[name] for name in _FIGURES} for one in (self.before, self.after))
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
    if bundle.config.get("precision") == "int8":
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
    known = _Known(bundle.gallery, manifest)
    graph, size = bundle.path / "model.xml", bundle.gallery.embeddings.shape[1]
    float32 = Encoder(OpenVinoNetwork(graph), bundle.pixels, bundle.fingerprint, size)
    known.check(float32)
    examples = _examples(manifest, bundle, images, seed)
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        accepted = _first_accepted(nncf, float32, graph, examples, manifest, protocol, max_loss, Path(scratch))
        gallery = known.embed(accepted.encoder, protocol, accepted.references)
        _write(bundle, output, accepted, gallery, protocol, {"images": len(examples), "seed": seed})
    return load_bundle(output), accepted.comparison


def _write(
    bundle: Bundle, output: Path, accepted: _Accepted, gallery: Gallery, protocol: Protocol, about: dict[str, Any]
) -> None:
    """The new folder: everything that the graph made is made anew, the rest is kept."""
    comparison, old = accepted.comparison, bundle.config
    asked = comparison.after
    if not _same_rows(gallery, protocol.references):
        asked = against_gallery(accepted.queries, accepted.references, protocol, gallery.embeddings, gallery.labels)
    rate = old.get("open_set", {}).get("false_accept_rate")
    versions = {name: importlib.metadata.version(name) for name in ("openvino", "nncf")}
    config = {
        **{name: value for name, value in old.items() if name not in ("files", "checksum")},
        "precision": "int8",
        "fingerprint": gallery.fingerprint,
        "quantized": {"from": bundle.fingerprint, **about, **comparison.to_dict()},
        "parity": {name: value for name, value in old["parity"].items() if name != "bf16"},
        "metrics": {**old["metrics"], "validation": comparison.after.to_dict()},
        "open_set": {
            "false_accept_rate": rate,
            "thresholds": [one.to_dict() for one in choose_thresholds(asked.per_query, rate)],
        },
        "versions": {**old["versions"], **versions},
    }
    card = model_card(output.name, config, str(comparison.after))
    with atomic_folder(output) as folder:
        for suffix in (".xml", ".bin"):
            shutil.copyfile(accepted.graph.with_suffix(suffix), folder / f"model{suffix}")
        shutil.copyfile(bundle.path / "model.safetensors", folder / "model.safetensors")
        (folder / "gallery").mkdir()
        gallery.save(folder / "gallery")
        write_bytes(folder / "README.md", card.encode())
        seal(folder, config)


def _examples(manifest: Manifest, bundle: Bundle, images: int, seed: int) -> list[np.ndarray]:
    """Training images, uint8 [1, H, W, 3] each: one of every label, then a second of every label, and so on."""
    rows = manifest.known
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


def _first_accepted(
    nncf: Any,
    float32: Encoder,
    graph: Path,
    examples: list[np.ndarray],
    manifest: Manifest,
    protocol: Protocol,
    max_loss: float,
    scratch: Path,
) -> _Accepted:
    """The first attempt that loses no more than allowed."""
    expected, references = embed_protocol(float32, manifest, protocol)
    before = evaluate_rows(expected, references, protocol)
    best: Comparison | None = None
    for number, preset in enumerate(ATTEMPTS):
        file = scratch / f"{number}.xml"  # one each: a compiled graph may still read its file
        quantize_graph(nncf, graph, examples, preset, file)
        fingerprint = fingerprint_of(sha256_of(file.with_suffix(".bin")), float32.pixels)
        encoder = Encoder(OpenVinoNetwork(file), float32.pixels, fingerprint, float32.size)
        queries, references = embed_protocol(encoder, manifest, protocol)
        cosine = (queries * expected).sum(1) / np.linalg.norm(queries, axis=1) / np.linalg.norm(expected, axis=1)
        after = evaluate_rows(queries, references, protocol)
        found = Comparison(before, after, float(cosine.min()), float(cosine.mean()), preset)
        accepted = found.loss <= max_loss + 1e-9
        say(f"int8, {preset}: {found}, cosine at least {cosine.min():.4f}: {'taken' if accepted else 'loses too much'}")
        if accepted:
            return _Accepted(file, encoder, queries, references, found)
        best = found if best is None or found.loss < best.loss else best
    assert best is not None
    raise QuantizeError(
        f"int8 loses too much: expected accuracy@1 and mAP to fall by at most {max_loss:g}, found {best} "
        f"({best.preset}, the best of {len(ATTEMPTS)} ways): keep the float32 bundle, give more images=..., "
        f"or accept it with max_loss={np.ceil(best.loss * 1000) / 1000:g}"
    )


def _same_rows(gallery: Gallery, rows: pd.DataFrame) -> bool:
    return gallery.paths == rows["path"].tolist() and gallery.labels == rows["label"].tolist()


class _Known:
    """The images of a bundle's gallery, to be embedded again.

    They are the training images of the data set (with their boxes, wherever that stands now), or else files where the
    gallery says they are.
    """

    def __init__(self, gallery: Gallery, manifest: Manifest) -> None:
        rows = manifest.known
        self.gallery = gallery
        self.boxes = boxes_of(rows) if _same_rows(gallery, rows) else [None] * len(gallery)
        self.root = manifest.root.resolve() if _same_rows(gallery, rows) else gallery.root
        self.files = [self.root / path for path in gallery.paths]

    def check(self, float32: Encoder) -> None:
        """Whether the images are still there and still the same.

        Raises:
            QuantizeError: Some are gone, or others than those that the gallery was made of.
        """
        self._refuse({row: f"{file}: no such file" for row, file in enumerate(self.files) if not file.is_file()})
        rows = np.unique(np.linspace(0, len(self.files) - 1, _CHECKED).astype(int)).tolist()
        now = self._embed(float32, rows)
        similarity = now @ self.gallery.embeddings.T
        own = similarity[np.arange(len(rows)), rows]
        nearer = similarity.max(1) - own  # 0 but for rounding, and for duplicates
        if not nearer.max() <= _SAME:
            worst = int(nearer.argmax())
            raise QuantizeError(
                f"{self.files[rows[worst]]}: not the image that is in the bundle's gallery: expected it to be nearest "
                f"to its own embedding, found cosine {own[worst]:.4f} to that and {similarity[worst].max():.4f} to "
                "another: put the images (and boxes) back, or train again"
            )

    def embed(self, encoder: Encoder, protocol: Protocol, references: np.ndarray) -> Gallery:
        """The same gallery by another encoder; `references` [R, D] are used where they are the same images."""
        embeddings = references
        if not _same_rows(self.gallery, protocol.references):
            embeddings = self._embed(encoder, list(range(len(self.files))))
        return Gallery(
            embeddings, self.gallery.labels, self.gallery.paths, self.root, encoder.fingerprint, encoder.precision
        )

    def _embed(self, encoder: Encoder, rows: list[int]) -> np.ndarray:
        errors: dict[int, str] = {}
        found = encoder.embed([self.files[row] for row in rows], [self.boxes[row] for row in rows], errors=errors)
        self._refuse(errors)
        return found

    def _refuse(self, errors: dict[int, str]) -> None:
        if errors:
            raise QuantizeError(
                f"the bundle's gallery is embedded again: expected its {len(self.files)} images below {self.root}, "
                f"found {len(errors)} that cannot be read (first: {next(iter(errors.values()))}): put them back, or "
                "give data.root=<the data set the bundle was trained on>"
            )
