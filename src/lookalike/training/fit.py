"""Lightning's trainer on a module: callbacks, checkpoints, trackers."""

import ctypes
import warnings
from contextlib import suppress

import lightning.pytorch as pl
import torch

from lookalike.console import console, quiet_lightning, say
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.errors import LookalikeError
from lookalike.models.checkpoint_file import LAST
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.training.build import torch_device
from lookalike.training.callbacks import Abandoned, EpochLines, KeepState, Watched
from lookalike.training.checkpoint import AtomicCheckpointIO, cannot_go_on
from lookalike.training.plan import Plan, TrainError
from lookalike.training.trackers import Tracker

# What Lightning and torch raise while they take up a state that is not of this run.
_WRONG_STATE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, OverflowError)


class DivergedError(TrainError):
    """The loss is no number any more."""


def fit(plan: Plan, module: MetricLearningModule, datamodule: ImageDataModule, resumed: int) -> float:
    """Trains until all epochs are done or none was better for a while.

    Args:
        plan: The run.
        module: What is trained.
        datamodule: Its data.
        resumed: Epochs that earlier sessions finished.

    Returns:
        The seconds of all sessions.

    Raises:
        Abandoned: The watch ended the run.
        DivergedError: The loss is no number any more.
    """
    options, checkpoint = plan.settings.trainer, plan.checkpoint / LAST
    if resumed or checkpoint.is_file():
        say(f"resuming {plan.run} after {resumed} finished epoch(s)")
    tracker = Tracker(plan.run, plan.settings.logger, plan.checkpoint, resumed, plan.parent)
    tracker.settings(plan.binding_settings)
    keep = KeepState(plan.checkpoint, options.checkpoint_seconds, options.patience)
    trainer = _trainer(plan, [EpochLines(tracker), keep, *([Watched(plan.watch)] if plan.watch else [])])
    status, resume_from = "failed", str(checkpoint) if checkpoint.is_file() else None
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
        status = "success"
    except Abandoned:
        status = "abandoned"
        raise
    except SystemExit as error:  # Lightning's Ctrl-C
        raise KeyboardInterrupt from error
    except _WRONG_STATE as error:
        if resume_from is None or keep.begun or isinstance(error, LookalikeError | torch.OutOfMemoryError):
            raise
        raise cannot_go_on(checkpoint, f"{type(error).__name__}: {error}") from error
    except FloatingPointError as error:
        raise DivergedError(
            f"{error}: lower the learning rates of trainer, or the scale or margin of the loss"
        ) from error
    finally:
        tracker.close(status)
    return keep.seconds


def _trainer(plan: Plan, callbacks: list[pl.Callback]) -> pl.Trainer:
    device = torch_device(plan.settings.trainer.device)
    return pl.Trainer(
        max_epochs=plan.settings.trainer.max_epochs,
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        precision="32-true",  # the module itself says what runs in bf16
        deterministic="warn" if device == "cpu" else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
    )


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
