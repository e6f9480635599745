"""Draws docs/performance/*.png: where the time of each job goes. Called by run.py with what it measured."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TARGET = Path(__file__).parents[1] / "docs" / "performance"
# Okabe and Ito's colours, told apart by colour-blind people.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


def bars(name: str, title: str, unit: str, rows: dict[str, dict[str, float]]) -> None:
    """Stacked horizontal bars, one per row.

    Args:
        name: Of the file.
        title: Above the picture.
        unit: Of the axis.
        rows: Row -> part -> value.
    """
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.75 * len(rows)), layout="constrained")
    for place, row in enumerate(reversed(rows.values())):
        left, total = 0.0, sum(row.values())
        for part, value in row.items():
            axes.barh(place, value, left=left, color=COLOURS[parts.index(part) % len(COLOURS)], edgecolor="white")
            if value > 0.07 * max(sum(other.values()) for other in rows.values()):
                axes.text(left + value / 2, place, f"{value:.3g}", ha="center", va="center", fontsize=9)
            left += value
        axes.text(left, place, f"  {total:.3g}", va="center", fontsize=9, fontweight="bold")
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[i % len(COLOURS)]) for i in range(len(parts))]
    figure.legend(handles, parts, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    TARGET.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET / f"{name}.png", dpi=110)
    plt.close(figure)


def training_run(profile: dict[str, Any]) -> None:
    """Where the seconds of a whole run go.

    Args:
        profile: The answer of `ours.py train`.
    """
    parts = profile["parts"]
    epochs, validations = sum(profile["epoch_seconds"]), sum(profile["validation_seconds"])
    row = {
        "imports": profile["import_seconds"],
        "reading and checking images": parts["_read_data"] + parts["_check_images"],
        "frozen trunk, once": parts.get("cached_trunk", 0.0),
        "measuring arithmetic": parts.get("_precision", 0.0),
        f"training, {len(profile['epoch_seconds'])} epochs": epochs,
        "validation": validations,
        "checkpoints, Lightning": parts["fit"] - epochs - validations,
        "export, bundle": parts["finish"],
    }
    title = (
        f"A training run: ResNet18, layer4 + head, batches of 8, {profile['images']} images, {profile['arithmetic']}"
    )
    bars("training-run", title, "seconds", {"": row})


def training_step() -> None:
    """What a step costs in each arithmetic, part by part."""
    import torch

    from lookalike.models.embedder import Embedder
    from lookalike.models.losses import MetricLoss
    from lookalike.models.metric_learning_module import forward
    from lookalike.training.cpu.adamw import FlatAdamW
    from lookalike.training.cpu.precision import prepare

    rows: dict[str, dict[str, float]] = {}
    for arithmetic in ("32-true", "bf16-mixed", "bf16-products"):
        torch.manual_seed(0)
        embedder = Embedder("resnet18", trainable=["layer4", "head"])
        loss = MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 30.0}, 12, 128)
        prepare(embedder, arithmetic)  # type: ignore[arg-type]
        trained = [parameter for parameter in [*embedder.parameters(), *loss.parameters()] if parameter.requires_grad]
        optimizer = FlatAdamW([{"params": trained, "lr": 1e-4}], 0.0)
        images, labels = torch.zeros(8, 224, 224, 3, dtype=torch.uint8).random_(0, 256), torch.arange(8)
        with torch.no_grad():
            features = embedder.trunk(images).to(torch.bfloat16)
        seconds = {"forward": 0.0, "loss": 0.0, "backward": 0.0, "optimiser": 0.0}
        steps = 40
        for step in range(steps + 5):
            marks = [time.perf_counter()]
            embedding = forward(embedder, arithmetic, features, False)  # type: ignore[arg-type]
            marks.append(time.perf_counter())
            value = loss(embedding, labels)
            marks.append(time.perf_counter())
            value.backward()
            marks.append(time.perf_counter())
            optimizer.step()
            optimizer.zero_grad()
            marks.append(time.perf_counter())
            if step >= 5:
                for part, start, end in zip(seconds, marks, marks[1:], strict=False):
                    seconds[part] += 1000 * (end - start) / steps
        rows[arithmetic] = seconds
    bars("training-step", "A training step from the cached trunk, 8 images", "milliseconds", rows)


def embedding(profiles: dict[str, Any], files: list[Path]) -> None:
    """What an image costs one core, part by part, and what the pipeline takes.

    Args:
        profiles: Figures of the benchmark.
        files: Photographs.
    """
    import cv2
    import numpy as np

    from lookalike.data.images import read_image
    from lookalike.data.pixels import PixelSettings, resize

    cv2.setNumThreads(1)
    contents, pixels, cores = [file.read_bytes() for file in files], PixelSettings(), os.cpu_count() or 1

    def cost(work: Callable[[Any], object], items: list[Any]) -> float:
        for item in items[:20]:
            work(item)
        start = time.perf_counter()
        for item in items:
            work(item)
        return 1000 * (time.perf_counter() - start) / len(items)

    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = [cv2.imdecode(np.frombuffer(content, np.uint8), flags) for content in contents]
    whole = cost(lambda file: read_image(file, pixels), files)
    decode = cost(lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), flags), contents)
    shrink = cost(lambda image: resize(image, pixels), decoded)
    rows: dict[str, dict[str, float]] = {}
    for name, network in profiles["network"].items():
        tool = name.rpartition(" ")
        rate = profiles[f"embedding {tool[0]}"].get(tool[2])
        if rate is None:
            continue
        read = {"decode": decode, "shrink": shrink, "file, header": max(0.0, whole - decode - shrink)}
        rest = max(0.0, 1000 * cores / rate - whole - network)
        rows[name] = {**read, "network": network, "all else, waiting": rest}
    bars(
        "embedding", f"Files to embeddings: what an image costs, of {cores} cores", "core-milliseconds per image", rows
    )


def predict(profile: dict[str, Any]) -> None:
    """Where the start of `lookalike predict` goes.

    Args:
        profile: Seconds in all, and of each imported package.
    """
    slowest = sorted(profile["imports"].items(), key=lambda entry: -entry[1])
    row = {f"import {name}": seconds for name, seconds in slowest[:5]}
    row["other imports"] = sum(seconds for _, seconds in slowest[5:])
    row["bundle, network, image, files"] = max(0.0, profile["seconds"] - sum(row.values()))
    bars("predict", "lookalike predict, one image, process start to end", "seconds", {"": row})


def draw(profiles: dict[str, Any], files: list[Path]) -> None:
    """Draws all of them.

    Args:
        profiles: Figures of the benchmark.
        files: Photographs.
    """
    training_step()
    if "training" in profiles:
        training_run(profiles["training"])
    if "network" in profiles:
        embedding(profiles, files)
    if "predict" in profiles:
        predict(profiles["predict"])
