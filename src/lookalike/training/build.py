"""From a plan to a module and its data: first weights, loss, cache of the frozen trunk, precision."""

import importlib.metadata
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import torch

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.image_rows import Features, ImageRows
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import Batches, default_workers
from lookalike.datamodules.sampler import LabelBatches, ShuffledBatches
from lookalike.devices import need_cuda, torch_has_bf16
from lookalike.models.checkpoint_file import LAST
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import MetricLearningModule, TrainPrecision, forward
from lookalike.models.pretrained import load_pretrained
from lookalike.recognition.first_weights import first_weights
from lookalike.settings.training import Train
from lookalike.training.checkpoint import cannot_go_on
from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.precision import fastest_precision, prepare
from lookalike.training.cpu.trunk_cache import cached_trunk
from lookalike.training.plan import Plan, TrainError
from lookalike.training.preflight import batches_by_label, embedder_of, training_pixels


@dataclass(frozen=True)
class _Network:
    """What is trained, before its precision is chosen.

    Attributes:
        embedder: The network.
        loss: Its loss.
        first_weights: Where they came from, in words.
        bf16_trunk: Whether a frozen trunk runs in bf16.
        device: `cpu` or `cuda`.
    """

    embedder: Embedder
    loss: MetricLoss
    first_weights: str
    bf16_trunk: bool
    device: str


def build(plan: Plan, state: dict[str, Any] | None) -> tuple[MetricLearningModule, ImageDataModule]:
    """Module and data.

    Args:
        plan: The run.
        state: The checkpoint of a run that goes on.
    """
    settings = plan.settings
    before: dict[str, Any] = state["hyper_parameters"] if state else {}
    if state:
        before = {"arithmetic": "32-true", **before}  # that of versions which had no choice
    network = _network(plan, state, before)
    datamodule = _data(plan)
    _introduce(plan, network, datamodule)
    prepare(network.embedder, "32-true", False)
    if settings.trainer.trunk_cache and network.embedder.trunk_end:
        features = plan.world.one_by_one(lambda: _features(settings, network, datamodule))
        datamodule.features = features if plan.world.all_of(bool(features)) else ()
    precision: TrainPrecision = before.get("arithmetic") or plan.world.told(
        lambda: _precision(plan, network, datamodule)
    )
    _need_gradients_of_one_type(plan, precision)
    prepare(network.embedder, precision, settings.trainer.compiled)
    rates = {"learning_rate", "head_learning_rate", "loss_learning_rate"}
    schedule = settings.trainer.model_dump(include={*rates, "weight_decay", "warmup_share", "averaged_share"})
    module = MetricLearningModule(
        network.embedder,
        network.loss,
        {**schedule, "steps": settings.trainer.max_epochs * datamodule.steps},
        datamodule.protocol,
        precision,
        network.bf16_trunk,
        {
            "settings": plan.binding_settings,
            "weights_source": network.first_weights,
            "arithmetic": precision,
            "bf16_trunk": network.bf16_trunk,
        },
        make_optimizer=FlatAdamW,
    )
    return module, datamodule


def _need_gradients_of_one_type(plan: Plan, precision: TrainPrecision) -> None:
    if precision == "bf16-products" and not plan.world.alone:
        raise TrainError(
            "trainer.precision=bf16-products: its gradients are in bf16, which several devices cannot average: give "
            "trainer.devices=1, or in a new run trainer.precision=bf16-mixed"
        )


def torch_device(wanted: str) -> str:
    """`cpu` or `cuda`.

    Raises:
        LookalikeError: `cuda` is asked for and cannot be had.
    """
    if wanted == "cuda":
        need_cuda("trainer.device")
    return "cuda" if torch.cuda.is_available() and wanted != "cpu" else "cpu"


def _network(plan: Plan, state: dict[str, Any] | None, before: dict[str, Any]) -> _Network:
    """The network with its first weights, or with those of the checkpoint `state`; `before` is what that one knew."""
    settings, options = plan.settings, plan.settings.model
    device = torch_device(settings.trainer.device)
    embedder = embedder_of(settings)
    if state:
        # Now and not by Lightning, which is too late for the trunk; the hub need not be reachable a second time.
        weights = {name: value for name, value in state["state_dict"].items() if name.startswith("embedder.")}
        try:
            embedder.load_state_dict({name.removeprefix("embedder."): value for name, value in weights.items()})
        except RuntimeError as error:
            raise cannot_go_on(plan.checkpoint / LAST, error) from error
    source = before.get("weights_source") or load_pretrained(
        embedder.backbone, options.backbone, options.weights, read=first_weights
    )
    loss_settings = settings.loss.model_dump(exclude={"name", "sample_classes"})
    classes = len(plan.manifest.labels)
    loss = MetricLoss(
        settings.loss.name, loss_settings, classes, embedder.embedding_size, _sampled(settings, classes), settings.seed
    )
    in_bf16 = settings.trainer.precision != "32-true" and torch_has_bf16(device)
    return _Network(embedder, loss, source, bool(before.get("bf16_trunk", in_bf16)), device)


def _sampled(settings: Train, classes: int) -> int | None:
    """How many labels a step compares, those of its batch at least; None for all."""
    share = getattr(settings.loss, "sample_classes", None)
    trainer = settings.trainer
    labels_of_batch = trainer.labels_per_batch if batches_by_label(settings) else trainer.batch_size
    return None if share is None else max(math.ceil(share * classes), labels_of_batch)


def _introduce(plan: Plan, network: _Network, datamodule: ImageDataModule) -> None:
    """Prints what is trained, on what, and how it is validated."""
    options, embedder = plan.settings.model, network.embedder
    trained = sum(p.numel() for p in embedder.parameters() if p.requires_grad)
    total = sum(p.numel() for p in embedder.parameters())
    say(
        f"model: {options.backbone}, first weights: {network.first_weights}; "
        f"trained: {', '.join(options.trainable)} ({trained / 1e6:.1f} of {total / 1e6:.1f} M parameters)"
    )
    say(
        f"loss: {plan.settings.loss.name}; {len(plan.manifest.labels)} labels, {len(datamodule.train_rows)} training "
        f"images, {datamodule.steps} steps per epoch"
    )
    if share := plan.settings.trainer.averaged_share:
        say(f"weights: the mean of them over the last {100 * share:g} % of the steps is what is validated and kept")
    say(f"validation: {datamodule.protocol.text}")
    if embedder.not_split:
        say(f"trunk: not split ({embedder.not_split}): the frozen part runs in every epoch, nothing is cached")


def _features(settings: Train, network: _Network, datamodule: ImageDataModule) -> tuple[Features, ...]:
    """What the trunk makes of training and validation, or of validation alone: training may change or be too much."""
    folder, limit = Path(settings.checkpoint_dir) / ".trunk", int(settings.trainer.trunk_cache_gib * 2**30)
    unchanging, validation = datamodule.unchanging_rows, datamodule.validation_rows
    if len(unchanging) == len(validation):
        say(
            "trunk: online changes are new in every epoch, so only validation can be cached (online.views=8 makes 8 "
            "random versions of each image and caches them, online=none caches the images as they are)"
        )

    def cached(rows: list[ImageRows], used: int) -> Features | None:
        return cached_trunk(folder, network.embedder, rows, network.bf16_trunk, network.device, limit, used)

    training = [rows for rows in unchanging if rows.pixels != datamodule.pixels]  # of another size than all others
    if not training:
        features = cached(unchanging, 0)
        if features is None and len(unchanging) > len(validation):
            features = cached(validation, 0)
        return _told(features)
    height, width = datamodule.train_rows.pixels.height, datamodule.train_rows.pixels.width
    if not network.embedder.trunk_takes((height, width)):
        own = f"{datamodule.pixels.height} x {datamodule.pixels.width}"
        say(f"trunk: split for images of {own} pixels alone: not cached for those of {height} x {width} trained on")
        return _told(cached(validation, 0))
    first = cached(training, 0)
    return (*_told(first), *_told(cached(validation, first.bits.nbytes if first else 0)))


def _told(features: Features | None) -> tuple[Features, ...]:
    if features is None:
        say("trunk: computed in every epoch")
        return ()
    return (features,)


def _data(plan: Plan) -> ImageDataModule:
    settings, trainer = plan.settings, plan.settings.trainer
    pixels = PixelSettings.of(settings.pixels.model_dump())

    def batches(label_ids: np.ndarray) -> Batches:
        if batches_by_label(settings):
            return LabelBatches(label_ids, trainer.labels_per_batch, trainer.images_per_label, settings.seed)
        return ShuffledBatches(len(label_ids), trainer.batch_size, settings.seed)

    changes = settings.online.model_dump(exclude={"relative_size", "views"})
    transforms = OnlineTransforms(training_pixels(settings), **changes)
    workers = default_workers(plan.world.local_size) if trainer.workers is None else trainer.workers
    views = settings.online.views
    return ImageDataModule(
        plan.manifest,
        pixels,
        transforms,
        batches,
        settings.seed,
        workers,
        views=views,
        passes=trainer.passes or 1,
        world=plan.world,
    )


def _precision(plan: Plan, network: _Network, datamodule: ImageDataModule) -> TrainPrecision:
    """What was asked for, what the runs of a comparison share, or the quickest on the first batch."""
    if plan.settings.trainer.precision != "auto":
        return plan.settings.trainer.precision
    if plan.parent:
        return plan.parent.arithmetic(lambda: _quickest(plan, network, datamodule))
    return _quickest(plan, network, datamodule)


def _quickest(plan: Plan, network: _Network, datamodule: ImageDataModule) -> TrainPrecision:
    settings = plan.settings
    images, labels = (part.to(network.device) for part in datamodule.first_batch())
    beyond_settings = {"bf16_trunk": network.bf16_trunk, "first_weights": network.first_weights}
    about = {
        "model": {**settings.model.model_dump(), **beyond_settings},
        "loss": settings.loss.model_dump(),
        "labels": len(datamodule.manifest.labels),
        "input": [*images.shape, str(images.dtype), network.device],
        "versions": {name: importlib.metadata.version(name) for name in ("lookalike", "timm")},
    }

    def run(embedder: Embedder, precision: TrainPrecision, images: torch.Tensor) -> torch.Tensor:
        return forward(embedder, precision, images, network.bf16_trunk)

    timed = fastest_precision(
        Path(pooch.os_cache("lookalike")) / "arithmetic",
        about,
        network.embedder.to(network.device),
        network.loss.to(network.device),
        run,
        (images, labels),
        settings.trainer.compiled,
        plan.world.alone,
    )
    say(f"arithmetic: {timed}; trainer.precision={timed.chosen} repeats the run elsewhere")
    return timed.chosen
