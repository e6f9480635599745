"""Lightning's trainer on a module: callbacks, checkpoints, trackers."""

import ctypes
import os
import warnings
from contextlib import suppress
from typing import Any

import lightning.pytorch as pl
import torch

from lookalike.console import console, quiet_lightning, say
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.errors import LookalikeError
from lookalike.models.checkpoint_file import LAST
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.models.synced_norms import random_parts
from lookalike.training.build import torch_device
from lookalike.training.callbacks import Abandoned, EndsAlike, EpochLines, KeepState, Watched
from lookalike.training.checkpoint import AtomicCheckpointIO, cannot_go_on
from lookalike.training.ddp import EndsAtOnce, OneWrites, leave_unused
from lookalike.training.plan import Plan, TrainError
from lookalike.training.trackers import Tracker

# What Lightning and torch raise while they take up a state that is not of this run.
_WRONG_STATE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, OverflowError)


class DivergedError(TrainError):
    """The loss is no number any more."""


def fit(plan: Plan, module: MetricLearningModule, datamodule: ImageDataModule, state: dict[str, Any] | None) -> float:
    """Trains until all epochs are done or none was better for a while.

    Args:
        plan: The run.
        module: What is trained.
        datamodule: Its data.
        state: The checkpoint of a run that goes on.

    Returns:
        The seconds of all sessions, in the first process.

    Raises:
        Abandoned: The watch ended the run.
        DivergedError: The loss is no number any more.
    """
    options, checkpoint, world = plan.settings.trainer, plan.checkpoint / LAST, plan.world
    module.share(world, plan.settings.seed)
    if not world.alone:
        pixels = datamodule.train_rows.pixels
        leave_unused(module, module.embedder, (pixels.height, pixels.width))
    _introduce(plan, module, state)
    if not world.first:
        _trainer(plan, [EndsAlike(options.patience)], state).fit(
            module, datamodule=datamodule, ckpt_path=str(checkpoint) if state else None, weights_only=True
        )
        return 0.0
    resumed = len(state["lookalike"]["history"]) if state else 0
    tracker = Tracker(plan.run, plan.settings.logger, plan.checkpoint, resumed, plan.parent)
    tracker.settings(plan.binding_settings)
    keep = KeepState(plan.checkpoint, options.checkpoint_seconds, options.patience)
    trainer = _trainer(plan, [EpochLines(tracker), keep])
    status, resume_from = "failed", str(checkpoint) if state else None
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


def _introduce(plan: Plan, module: MetricLearningModule, state: dict[str, Any] | None) -> None:
    """Says how the run goes on, and how its devices share it."""
    if state:
        say(f"resuming {plan.run} after {len(state['lookalike']['history'])} finished epoch(s)")
    if plan.world.alone:
        return
    size, machines = plan.world.size, plan.world.machines
    where = f" on {machines} machines" if machines > 1 else ""
    say(f"devices: {size} processes{where} share each batch; the same weights up to rounding as with one")
    if drawing := random_parts(module.embedder):
        say(
            f"devices: {', '.join(drawing[:3])} of the network draw random numbers, which are others than with one "
            "process: the weights are as good, but not the same"
        )


def _trainer(plan: Plan, callbacks: list[pl.Callback], state: dict[str, Any] | None = None) -> pl.Trainer:
    device, world = torch_device(plan.settings.trainer.device), plan.world
    several: dict[str, Any] = {}
    if not world.alone:
        several = {"strategy": OneWrites(world), "num_nodes": world.machines, "use_distributed_sampler": False}
        callbacks.append(EndsAtOnce())
    if plan.watch:
        callbacks.append(Watched(plan.watch, world))
    return pl.Trainer(
        max_epochs=plan.settings.trainer.max_epochs,
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=world.local_size,
        precision="32-true",  # the module itself says what runs in bf16
        deterministic="warn" if device == "cpu" else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(state)],
        **several,
    )


def prepare_process(plan: Plan) -> None:
    """Threads, memory and random numbers of a process that trains.

    Args:
        plan: The run.
    """
    cores = max(1, (os.cpu_count() or 1) // plan.world.local_size)
    torch.set_num_threads(plan.settings.trainer.threads or cores)
    keep_freed_memory()
    # Else every new tensor is filled with NaN, to find reads of unwritten memory: a tenth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(plan.settings.seed, verbose=False)


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
