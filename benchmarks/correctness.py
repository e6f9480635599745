"""Every way to an embedding against torch in float32, on the same 500 photographs."""

from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import torch

from lookalike.data.manifest import Manifest
from lookalike.devices import openvino_has_bf16, torch_has_bf16
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import Network, OpenVinoNetwork
from lookalike.metrics.evaluate import evaluate
from lookalike.models.embedder import load_embedder
from lookalike.models.metric_learning_module import TrainPrecision, forward
from lookalike.models.torch_network import TorchNetwork
from lookalike.training.cpu.precision import prepare

IMAGES = 500


class CachedTrunk:
    """The network as training runs it: the trunk's output rounded to bf16, the rest in the run's precision.

    Args:
        bundle: What was trained.
        precision: Of the rest.
    """

    batch = 16

    def __init__(self, bundle: Bundle, precision: TrainPrecision) -> None:
        self._embedder = load_embedder(bundle.weights, bundle.config.model, bundle.pixels).eval()
        self._precision: TrainPrecision = precision
        prepare(self._embedder, precision)
        self._lock = Lock()  # a network is run in halves by one thread at a time

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, 3] -> float32 unit embeddings [B, D]."""
        with self._lock, torch.inference_mode():
            with torch.autocast("cpu", torch.bfloat16, enabled=torch_has_bf16("cpu")):
                features = self._embedder.trunk(torch.from_numpy(images)).to(torch.bfloat16)
            embedding = forward(self._embedder, self._precision, features, False)
            unit: np.ndarray = torch.nn.functional.normalize(embedding.float(), dim=1).numpy()
        return unit


def compare(name: str, bundle: Bundle, int8: Path | None, manifest: Manifest) -> list[str]:
    """Lines of a table.

    Args:
        name: Of the network.
        bundle: What was trained.
        int8: Its int8 form, or None where that was refused.
        manifest: The photographs.
    """
    queries, references = photographs(manifest)
    rows = pd.concat([queries, references])
    files = [manifest.file(path) for path in rows["path"]]
    graph, weights = bundle.graph, bundle.weights

    def torch_in(precision: str) -> Network:
        return TorchNetwork(load_embedder(weights, bundle.config.model, bundle.pixels), "cpu", precision, batch=16)  # type: ignore[arg-type]

    ways: dict[str, Network] = {"torch float32": torch_in("float32"), "torch bf16": torch_in("bf16")}
    ways["OpenVINO float32"] = OpenVinoNetwork(graph, "float32")
    if openvino_has_bf16():
        ways["OpenVINO bf16"] = OpenVinoNetwork(graph, "bf16")
    if int8:
        ways["OpenVINO int8"] = OpenVinoNetwork(load_bundle(int8).graph, "float32")
    precision: TrainPrecision = bundle.config.training.arithmetic  # type: ignore[assignment]
    ways[f"cached trunk, rest {precision}"] = CachedTrunk(bundle, precision)
    lines, exact, first = [], np.empty(0), {"accuracy@1": 0.0, "map": 0.0}
    for way, network in ways.items():
        size = bundle.config.model.size
        embeddings = Encoder(network, bundle.pixels, bundle.fingerprint, size).embed(files)
        metrics = evaluate(
            embeddings[: len(queries)],
            embeddings[len(queries) :],
            queries["label"].tolist(),
            references["label"].tolist(),
        ).metrics
        if not len(exact):
            exact, first = embeddings, metrics
            figures = " | ".join(f"is {100 * metrics[key]:.2f}" for key in ("accuracy@1", "map"))
            lines.append(f"| {name} | {way} | 1 | 1 | {figures} |")
            continue
        cosine = (exact * embeddings).sum(1) / np.linalg.norm(embeddings, axis=1)
        change = [f"{100 * (metrics[key] - first[key]):+.2f}" for key in ("accuracy@1", "map")]
        lines.append(f"| {name} | {way} | {cosine.min():.6f} | {cosine.mean():.6f} | {change[0]} | {change[1]} |")
    if not int8:
        lines.append(f"| {name} | OpenVINO int8 | | | refused by `lookalike quantize`: its figures do not stay | |")
    return lines


def photographs(manifest: Manifest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Queries: the validation images, at most half. References: training images of their labels, spread over them."""
    rows = manifest.original[~manifest.original["ignore"]]
    queries = rows[rows["split"] == "validation"].iloc[: IMAGES // 2]
    train = rows[(rows["split"] == "train") & rows["label"].isin(queries["label"])]
    turn = train.groupby("label", sort=False).cumcount().to_numpy()
    references = train.iloc[np.sort(np.argsort(turn, kind="stable")[: IMAGES - len(queries)])]
    return queries, references
