"""From settings to a bundle: data, copies, model, Lightning's trainer, export. A killed run goes on where it was."""

import os
import time
import warnings
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
from lookalike.datamodules.image_datamodule import ImageDataModule, default_workers
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
from lookalike.progress import console, progress, quiet_lightning, say
from lookalike.sampler import LabelBatches, ShuffledBatches
from lookalike.settings import Train, flat
from lookalike.trackers import Tracker
from lookalike.trunk_cache import cached_trunk

# What may differ between the sessions of one run: none of it changes the weights (the cache not beyond rounding).
_FREE = (
    "resume",
    "logger",
    "data.root",
    "models_dir",
    "checkpoint_dir",
    "trainer.workers",
    "trainer.checkpoint_seconds",
    "trainer.trunk_cache",
    "augment.threads",
)


class TrainError(LookalikeError):
    """Training cannot start or go on."""


def train(settings: Train) -> tuple[Bundle, RetrievalResult | None]:
    """Trains, or continues, or finds that the run is finished.

    Returns:
        The bundle, and its validation result (None when the run was finished before).

    Raises:
        LookalikeError: Something in the data, the settings or an earlier session stands in the way.
    """
    _quiet()
    run = settings.run or _run_name(settings)
    folder = Path(settings.checkpoint_dir) / run
    manifest = _read_data(settings)
    values = {**flat(settings.model_dump()), "run": run, "data_fingerprint": manifest.fingerprint()}
    kept = {name: value for name, value in values.items() if not name.startswith(_FREE)}
    with only_one(folder.with_name(f".{run}.lock"), f"run {run} is being trained by another process"):
        return _train(settings, run, manifest, kept)


def _train(
    settings: Train, run: str, manifest: Manifest, kept: dict[str, Any]
) -> tuple[Bundle, RetrievalResult | None]:
    folder, target = Path(settings.checkpoint_dir) / run, Path(settings.models_dir) / run
    fresh = settings.resume == "never"
    state = read_checkpoint(folder / LAST) if (folder / LAST).is_file() and not fresh else None
    if state:
        compare_settings(run, state["hyper_parameters"]["settings"], kept)
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
    pl.seed_everything(settings.seed, verbose=False)
    before = state["hyper_parameters"] if state else {}
    module, datamodule = _build(settings, manifest, kept, before)
    for old in (folder, target) if fresh else ():
        if aside := set_aside(old):
            say(f"{old} is kept as {aside}")
    seconds = 0.0
    if not done:
        seconds = _fit(settings, run, folder, module, datamodule, kept, history)
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
    settings: Train, manifest: Manifest, kept: dict[str, Any], before: dict[str, Any]
) -> tuple[MetricLearningModule, ImageDataModule]:
    """Module and data; `before` are the plain values that a resumed run's checkpoint keeps."""
    options, trainer = settings.model, settings.trainer
    embedder = Embedder(**options.model_dump(exclude={"weights"}))
    # A resumed run takes its weights from the checkpoint: the hub need not be reachable a second time.
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
    device = "cpu" if trainer.device == "cpu" or not torch.cuda.is_available() else "cuda"
    bf16_trunk = trainer.precision != "32-true" and multiplies_bf16(device)
    prepare(embedder, "32-true")
    if trainer.trunk_cache and embedder.trunk_end:
        datamodule.features = cached_trunk(
            Path(settings.checkpoint_dir) / ".trunk",
            embedder,
            datamodule.unchanging_rows,
            bf16_trunk,
            device,
            int(trainer.trunk_cache_gib * 2**30),
        )
    arithmetic = before.get("arithmetic") or _arithmetic(settings, embedder, loss, datamodule, device, bf16_trunk)
    schedule = trainer.model_dump(include={"learning_rate", "loss_learning_rate", "weight_decay", "warmup_share"})
    module = MetricLearningModule(
        embedder,
        loss,
        {**schedule, "steps": trainer.max_epochs * steps},
        protocol,
        arithmetic,
        bf16_trunk,
        {"settings": kept, "weights_source": source, "arithmetic": arithmetic},
    )
    return module, datamodule


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
    device: str,
    bf16_trunk: bool,
) -> Arithmetic:
    """What was asked for, or the quickest on the first batch."""
    if settings.trainer.precision != "auto":
        return settings.trainer.precision
    given, labels = (part.to(device) for part in datamodule.first_batch())
    about = {
        "model": settings.model.model_dump(exclude={"weights", "mean", "std"}),
        "loss": settings.loss.name,
        "input": [*given.shape, str(given.dtype), device],
    }

    def run(network: Embedder, arithmetic: Arithmetic, images: torch.Tensor) -> torch.Tensor:
        return forward(network, arithmetic, images, bf16_trunk or arithmetic != "32-true")

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
) -> float:
    options = settings.trainer
    if history or (folder / LAST).is_file():
        say(f"resuming {run} after {len(history)} finished epoch(s)")
    tracker = Tracker(run, settings.logger, folder, len(history))
    tracker.settings(kept)
    trainer = pl.Trainer(
        max_epochs=options.max_epochs,
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[options.device],
        devices=1,
        precision="32-true",  # the module itself says what runs in bf16
        deterministic="warn" if options.device == "cpu" or not torch.cuda.is_available() else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        callbacks=[EpochLines(tracker), KeepState(folder, options.checkpoint_seconds, options.patience)],
        plugins=[AtomicCheckpointIO()],
    )
    start = time.monotonic()
    status = "failed"
    try:
        checkpoint = str(folder / LAST) if (folder / LAST).is_file() else None
        trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
        status = "success"
    except FloatingPointError as error:
        raise TrainError(
            f"{error}: lower trainer.learning_rate or trainer.loss_learning_rate, or the scale or margin of the loss"
        ) from error
    finally:
        tracker.close(status)
    return time.monotonic() - start


class EpochLines(pl.Callback):
    """A progress bar inside each epoch and a line after it; also feeds the tracker.

    Args:
        tracker: Takes the finished epochs.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._start = 0.0
        self._bar: Any = None

    def on_train_start(self, *_: Any) -> None:
        """Starts the clock also for an epoch that a resumed run enters in the middle."""
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar."""
        self._start = time.monotonic()
        self._bar = progress(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", int(trainer.num_training_batches)
        )
        self._advance = self._bar.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        """Moves it."""
        if self._bar is not None:
            self._advance(1)

    def on_validation_start(self, *_: Any) -> None:
        """Closes it."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Closes it and says how to go on."""
        self._close()
        if isinstance(exception, KeyboardInterrupt):
            say("stopped; the same command goes on from the last checkpoint, or starts anew if there is none yet")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints and logs the epoch."""
        assert isinstance(pl_module, MetricLearningModule)
        history = pl_module.history
        line, best = history[-1], best_epoch(history)
        say(
            f"epoch {line['epoch']:.0f}/{trainer.max_epochs}: loss {line['train/loss']:.3f}, validation accuracy@1 "
            f"{line['validation/accuracy@1']:.4f}, accuracy@5 {line['validation/accuracy@5']:.4f}, "
            f"mAP {line['validation/map']:.4f}, {time.monotonic() - self._start:.0f} s (best: epoch {best})"
        )
        self._tracker.epoch(history)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


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
            "seconds_of_last_session": round(seconds, 1),
            "images": int((manifest.table["split"] == "train").sum()),
            "history": history,
            "settings": settings.model_dump(exclude={"logger"}),
        },
    }
    say(f"exporting epoch {best_epoch(history)} to {target}")
    pixels = PixelSettings(**settings.pixels.model_dump())
    return export(target, embedder, manifest, pixels, config, settings.false_accept_rate)


def _run_name(settings: Train) -> str:
    data = Path(settings.data.root or "data").resolve().stem
    return f"{data}-{settings.model.backbone}-{settings.loss.name}-s{settings.seed}"


def _quiet() -> None:
    """Keeps Lightning's and torch's advice off the terminal; errors still come through."""
    quiet_lightning()
    warnings.filterwarnings("ignore", module=r"lightning\..*|torch\..*")
    console.width = max(console.width, 100)
