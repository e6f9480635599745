"""From settings to a bundle: data, copies, model, Lightning's trainer, export. A killed run goes on where it was."""

import ctypes
import importlib.metadata
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pooch
import torch

from lookalike.augment import OnlineTransforms, default_output, make_copies
from lookalike.bundle import Bundle, load_bundle
from lookalike.checkpoint import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    KeepState,
    best_epoch,
    compare_settings,
    finished,
    read_checkpoint,
)
from lookalike.datamodules.image_datamodule import Features, ImageDataModule, default_workers
from lookalike.epoch_lines import Abandoned, EpochLines, Watch, Watched
from lookalike.errors import LookalikeError, listed
from lookalike.evaluate import RetrievalResult
from lookalike.export import export
from lookalike.files import only_one, set_aside
from lookalike.images import PixelSettings
from lookalike.manifest import Manifest, ManifestError, read_data
from lookalike.measure import broken_images
from lookalike.models.arithmetic import Arithmetic, measure, multiplies_bf16, prepare
from lookalike.models.embedder import Embedder, load_embedder
from lookalike.models.losses import MetricLoss, needs_label_batches
from lookalike.models.metric_learning_module import MetricLearningModule, forward
from lookalike.models.pretrained import load_pretrained
from lookalike.progress import console, quiet_lightning, say
from lookalike.sampler import LabelBatches, ShuffledBatches
from lookalike.settings import Train, flat
from lookalike.trackers import Parent, Tracker
from lookalike.trunk_cache import cached_trunk

# What may differ between the sessions of one run: none of it changes the weights (the cache not beyond rounding).
FREE = (
    "resume",
    "logger",
    "data.root",
    "data.exclude",  # what it does is in the fingerprint of the data
    "models_dir",
    "checkpoint_dir",
    "trainer.workers",
    "trainer.checkpoint_seconds",
    "trainer.trunk_cache",
    "augment.threads",
)


class TrainError(LookalikeError):
    """Training cannot start or go on."""


class DivergedError(TrainError):
    """The loss is no number any more."""


def train(
    settings: Train, parent: Parent | None = None, watch: Watch | None = None
) -> tuple[Bundle, RetrievalResult | None]:
    """Trains, or continues, or finds that the run is finished.

    Args:
        settings: Of the run.
        parent: The comparison that it belongs to.
        watch: Gets the history after every epoch; True ends the run early.

    Returns:
        The bundle, and its validation result (None when the run was finished before).

    Raises:
        Abandoned: The watch ended the run.
        LookalikeError: Something in the data, the settings or an earlier session stands in the way.
    """
    _quiet()
    run = settings.run or _run_name(settings)
    folder = Path(settings.checkpoint_dir) / run
    manifest = _read_data(settings)
    values = {**flat(settings.model_dump()), "run": run, "data_fingerprint": manifest.fingerprint()}
    kept = {name: value for name, value in values.items() if not name.startswith(FREE)}
    with only_one(folder.with_name(f".{run}.lock"), f"run {run} is being trained by another process"):
        return _train(settings, run, manifest, kept, parent, watch)


def _train(
    settings: Train,
    run: str,
    manifest: Manifest,
    kept: dict[str, Any],
    parent: Parent | None,
    watch: Watch | None,
) -> tuple[Bundle, RetrievalResult | None]:
    folder, target = Path(settings.checkpoint_dir) / run, Path(settings.models_dir) / run
    fresh = settings.resume == "never"
    state = read_checkpoint(folder / LAST) if (folder / LAST).is_file() and not fresh else None
    if state:
        alone = "give run=<another name>, or resume=never to start over (the old run is kept)"
        way_out = "or give name=<another> to start anew" if parent else alone
        compare_settings(f"run {run}", state["hyper_parameters"]["settings"], kept, way_out)
    elif target.exists() and not fresh:
        raise TrainError(
            f"{target}: a bundle of that name exists, but no checkpoint of it: give run=<another name>, "
            "or resume=never to replace it (it is kept)"
        )
    history = state["lookalike"]["history"] if state else []
    done = finished(history, settings.trainer.max_epochs, settings.trainer.patience)
    if done and target.exists():
        say(f"run {run} is finished: nothing to do; give run=<another name>, or resume=never to start over")
        return load_bundle(target), None
    _check_images(manifest)
    torch.set_num_threads(settings.trainer.threads or os.cpu_count() or 1)
    _keep_freed_memory()
    # Else every new tensor is filled with NaN, to find reads of unwritten memory: a tenth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(settings.seed, verbose=False)
    module, datamodule = _build(settings, manifest, kept, state)
    for old in (folder, target) if fresh else ():
        if aside := set_aside(old):
            say(f"{old} is kept as {aside}")
    seconds = float(state["callbacks"].get("KeepState", {}).get("seconds", 0.0)) if state else 0.0
    if not done:
        seconds = _fit(settings, run, folder, module, datamodule, kept, history, parent, watch)
        history = module.history
    return _finish(settings, target, folder, manifest, history, dict(module.hparams), seconds)


def _read_data(settings: Train) -> Manifest:
    manifest = read_data(**settings.data.model_dump())
    if not (manifest.table["split"] == "validation").any():
        raise ManifestError(
            f"{settings.data.root}: no validation images, so the best model cannot be chosen: add validation/<class>/, "
            "or hold some out with data.validation_share=0.2"
        )
    options = settings.augment
    if options.per_class is not None:
        output = Path(options.output) if options.output else default_output(manifest.root)
        say(f"copies: up to {options.per_class} images per class in {output}")
        names = ("per_class", "seed", "strength", "max_side", "threads")
        manifest = manifest.with_augmented(make_copies(manifest, output, **options.model_dump(include=set(names))))
    return manifest


def _check_images(manifest: Manifest) -> None:
    """Every image of train and validation must decode before the first step, not in epoch three."""
    rows = manifest.table[manifest.table["split"].isin(["train", "validation"])]
    if broken := broken_images(manifest, rows):
        raise ManifestError(f"{manifest.root}: {len(broken)} image(s) cannot be used:\n  {listed(broken)}")


def _build(
    settings: Train, manifest: Manifest, kept: dict[str, Any], state: dict[str, Any] | None
) -> tuple[MetricLearningModule, ImageDataModule]:
    """Module and data; `state` is the checkpoint of a resumed run."""
    options, trainer = settings.model, settings.trainer
    device = _device(trainer.device)
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


def _device(wanted: str) -> str:
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


def _fit(
    settings: Train,
    run: str,
    folder: Path,
    module: MetricLearningModule,
    datamodule: ImageDataModule,
    kept: dict[str, Any],
    history: list[Any],
    parent: Parent | None,
    watch: Watch | None,
) -> float:
    options, device = settings.trainer, _device(settings.trainer.device)
    if history or (folder / LAST).is_file():
        say(f"resuming {run} after {len(history)} finished epoch(s)")
    tracker = Tracker(run, settings.logger, folder, len(history), parent)
    tracker.settings(kept)
    keep = KeepState(folder, options.checkpoint_seconds, options.patience)
    trainer = pl.Trainer(
        max_epochs=options.max_epochs,
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        precision="32-true",  # the module itself says what runs in bf16
        deterministic="warn" if device == "cpu" else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        callbacks=[
            EpochLines(tracker),
            keep,
            *([Watched(watch)] if watch else []),
        ],
        plugins=[AtomicCheckpointIO()],
    )
    status = "failed"
    try:
        checkpoint = str(folder / LAST) if (folder / LAST).is_file() else None
        trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
        status = "success"
    except Abandoned:
        status = "abandoned"
        raise
    except SystemExit as error:  # Lightning's Ctrl-C
        raise KeyboardInterrupt from error
    except FloatingPointError as error:
        raise DivergedError(
            f"{error}: lower the learning rates of trainer, or the scale or margin of the loss"
        ) from error
    finally:
        tracker.close(status)
    return keep.seconds


def _finish(
    settings: Train,
    target: Path,
    folder: Path,
    manifest: Manifest,
    history: list[dict[str, float]],
    kept: dict[str, Any],
    seconds: float,
) -> tuple[Bundle, RetrievalResult]:
    """Exports the best epoch."""
    model = {**settings.model.model_dump(), "weights_source": kept["weights_source"]}
    embedder = load_embedder(folder / BEST, model)
    for name, value in (("mean", embedder.mean), ("std", embedder.std)):
        model[name] = [round(part / 255, 6) for part in value.flatten().tolist()]  # another timm may have others
    config = {
        "run": target.name,
        "model": model,
        "loss": settings.loss.model_dump(),
        "labels": manifest.labels,
        "training": {
            "best_epoch": best_epoch(history),
            "epochs": len(history),
            "seed": settings.seed,
            "arithmetic": kept["arithmetic"],
            "seconds": round(seconds, 1),
            "parameters": sum(p.numel() for p in embedder.parameters()),
            "trained_parameters": sum(p.numel() for p in embedder.parameters() if p.requires_grad),
            "images": int((manifest.table["split"] == "train").sum()),
            "history": history,
            "settings": settings.model_dump(exclude={"logger"}),
        },
    }
    say(f"exporting epoch {best_epoch(history)} to {target}")
    pixels = PixelSettings(**settings.pixels.model_dump())
    return export(target, embedder, manifest, pixels, config, settings.false_accept_rate)


def _keep_freed_memory() -> None:
    """Lets this process keep what a step frees.

    glibc gives large blocks back to the system and gets them again page by page, gradients in every step: a fifth of
    the time of a step here. Other C libraries have no such call.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no block of its own mapping
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def _run_name(settings: Train) -> str:
    data = Path(settings.data.root or "data").resolve().stem
    return f"{data}-{settings.model.backbone}-{settings.loss.name}-s{settings.seed}"


def _quiet() -> None:
    """Keeps Lightning's and torch's advice off the terminal; errors still come through."""
    quiet_lightning()
    warnings.filterwarnings("ignore", module=r"lightning\..*|torch\..*")
    console.width = max(console.width, 100)
