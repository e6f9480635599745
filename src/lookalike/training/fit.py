"""Lightning's trainer on a module: callbacks, checkpoints, trackers."""

import ctypes
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from lookalike.console import console, quiet_lightning, say
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.models.checkpoint_file import LAST
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.settings.training import Train
from lookalike.training.build import TrainError, torch_device
from lookalike.training.callbacks import Abandoned, EpochLines, KeepState, Watch, Watched
from lookalike.training.checkpoint import AtomicCheckpointIO
from lookalike.training.parents import Parent
from lookalike.training.trackers import Tracker


class DivergedError(TrainError):
    """The loss is no number any more."""


def fit(
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
    """Trains until all epochs are done or none was better for a while; returns the seconds of all sessions.

    Raises:
        Abandoned: The watch ended the run.
        DivergedError: The loss is no number any more.
    """
    options, device = settings.trainer, torch_device(settings.trainer.device)
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


def keep_freed_memory() -> None:
    """Lets this process keep what a step frees.

    glibc gives large blocks back to the system and gets them again page by page, gradients in every step: a fifth of
    the time of a step here. Other C libraries have no such call.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no block of its own mapping
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def quiet() -> None:
    """Keeps Lightning's and torch's advice off the terminal; errors still come through."""
    quiet_lightning()
    warnings.filterwarnings("ignore", module=r"lightning\..*|torch\..*")
    console.width = max(console.width, 100)
