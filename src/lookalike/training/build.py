"""From settings to a module and its data: first weights, loss, cache of the frozen trunk, precision."""

import importlib.metadata
from pathlib import Path
from typing import Any

import pooch
import torch

from lookalike.console import say
from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.image_rows import Features
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import default_workers
from lookalike.datamodules.sampler import LabelBatches, ShuffledBatches
from lookalike.errors import LookalikeError
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss, needs_label_batches
from lookalike.models.metric_learning_module import MetricLearningModule, forward
from lookalike.models.pretrained import load_pretrained
from lookalike.settings.training import Train
from lookalike.training.cpu.precision import Arithmetic, measure, multiplies_bf16, prepare
from lookalike.training.cpu.trunk_cache import cached_trunk


class TrainError(LookalikeError):
    """Training cannot start or go on."""


def build(
    settings: Train, manifest: Manifest, kept: dict[str, Any], state: dict[str, Any] | None
) -> tuple[MetricLearningModule, ImageDataModule]:
    """Module and data; `state` is the checkpoint of a resumed run."""
    options, trainer = settings.model, settings.trainer
    device = torch_device(trainer.device)
    embedder = Embedder(**options.model_dump(exclude={"weights"}))
    before: dict[str, Any] = state["hyper_parameters"] if state else {}
    if state:
        # Now and not by Lightning, which is too late for the trunk; the hub need not be reachable a second time.
        weights = {name: value for name, value in state["state_dict"].items() if name.startswith("embedder.")}
        embedder.load_state_dict({name.removeprefix("embedder."): value for name, value in weights.items()})
        before = {"arithmetic": "32-true", **before}  # that of versions which had no choice
    source = before.get("weights_source") or load_pretrained(embedder.backbone, options.backbone, options.weights)
    loss = MetricLoss(
        settings.loss.name, settings.loss.model_dump(exclude={"name"}), len(manifest.labels), embedder.embedding_size
    )
    datamodule = _data(settings, manifest)
    assert datamodule.batches is not None
    protocol, steps = datamodule.protocol, len(datamodule.batches)
    trained = sum(p.numel() for p in embedder.parameters() if p.requires_grad)
    total = sum(p.numel() for p in embedder.parameters())
    say(
        f"model: {options.backbone}, first weights: {source}; "
        f"trained: {', '.join(options.trainable)} ({trained / 1e6:.1f} of {total / 1e6:.1f} M parameters)"
    )
    say(
        f"loss: {settings.loss.name}; {len(manifest.labels)} labels, {len(datamodule.train_rows)} training images, "
        f"{steps} steps per epoch"
    )
    say(f"validation: {protocol.text}")
    bf16_trunk = bool(before.get("bf16_trunk", trainer.precision != "32-true" and multiplies_bf16(device)))
    prepare(embedder, "32-true")
    if trainer.trunk_cache and embedder.trunk_end:
        datamodule.features = _features(settings, embedder, datamodule, bf16_trunk, device)
    arithmetic = before.get("arithmetic") or _arithmetic(
        settings, embedder, loss, datamodule, {"bf16_trunk": bf16_trunk, "first_weights": source}, device
    )
    rates = {"learning_rate", "head_learning_rate", "loss_learning_rate"}
    schedule = trainer.model_dump(include={*rates, "weight_decay", "warmup_share"})
    module = MetricLearningModule(
        embedder,
        loss,
        {**schedule, "steps": trainer.max_epochs * steps},
        protocol,
        arithmetic,
        bf16_trunk,
        {"settings": kept, "weights_source": source, "arithmetic": arithmetic, "bf16_trunk": bf16_trunk},
    )
    return module, datamodule


def torch_device(wanted: str) -> str:
    """`cpu` or `cuda`."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise TrainError(
            "trainer.device=cuda: torch finds no CUDA device here: use trainer.device=cpu, or check nvidia-smi"
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def _features(
    settings: Train, embedder: Embedder, datamodule: ImageDataModule, bf16_trunk: bool, device: str
) -> Features | None:
    """What the trunk makes of training and validation, or of validation alone: training may change or be too much."""
    folder, limit = Path(settings.checkpoint_dir) / ".trunk", int(settings.trainer.trunk_cache_gib * 2**30)
    still, validation = datamodule.unchanging_rows, datamodule.validation_rows
    if len(still) == len(validation):
        say("trunk: online changes are random, so only validation can be cached (online=none caches training, too)")
    features = cached_trunk(folder, embedder, still, bf16_trunk, device, limit)
    if features is None and len(still) > len(validation):
        features = cached_trunk(folder, embedder, validation, bf16_trunk, device, limit)
    if features is None:
        say("trunk: computed in every epoch")
    return features


def _data(settings: Train, manifest: Manifest) -> ImageDataModule:
    trainer, pixels = settings.trainer, PixelSettings(**settings.pixels.model_dump())

    def batches(label_ids: Any) -> Any:
        if trainer.batches == "labels" or (trainer.batches == "auto" and needs_label_batches(settings.loss.name)):
            return LabelBatches(label_ids, trainer.labels_per_batch, trainer.images_per_label, settings.seed)
        return ShuffledBatches(len(label_ids), trainer.batch_size, settings.seed)

    transforms = OnlineTransforms(pixels, **settings.online.model_dump())
    workers = default_workers() if trainer.workers is None else trainer.workers
    return ImageDataModule(manifest, pixels, transforms, batches, settings.seed, workers)


def _arithmetic(
    settings: Train,
    embedder: Embedder,
    loss: MetricLoss,
    datamodule: ImageDataModule,
    model: dict[str, Any],
    device: str,
) -> Arithmetic:
    """What was asked for, or the quickest on the first batch; `model` tells what settings do not."""
    if settings.trainer.precision != "auto":
        return settings.trainer.precision
    given, labels = (part.to(device) for part in datamodule.first_batch())
    about = {
        "model": {**settings.model.model_dump(), **model},
        "loss": settings.loss.model_dump(),
        "labels": len(datamodule.manifest.labels),
        "input": [*given.shape, str(given.dtype), device],
        "versions": {name: importlib.metadata.version(name) for name in ("lookalike", "timm")},
    }

    def run(network: Embedder, arithmetic: Arithmetic, images: torch.Tensor) -> torch.Tensor:
        return forward(network, arithmetic, images, model["bf16_trunk"])

    found = measure(
        Path(pooch.os_cache("lookalike")) / "arithmetic",
        about,
        embedder.to(device),
        loss.to(device),
        run,
        (given, labels),
    )
    say(f"arithmetic: {found}")
    return found.chosen
