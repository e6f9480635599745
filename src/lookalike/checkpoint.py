"""The state a killed run continues from: written whole or not at all, read without executing any pickle.

`checkpoint/<run>/last.ckpt` holds weights, class weights, optimiser, schedule, random state, position inside the epoch
and the curves so far; `best.safetensors` holds the embedder of the best epoch.
"""

import io
import pickle
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors.torch import save

from lookalike.errors import LookalikeError
from lookalike.files import write_bytes
from lookalike.models.metric_learning_module import MetricLearningModule

LAST, BEST = "last.ckpt", "best.safetensors"


class CheckpointError(LookalikeError):
    """A checkpoint cannot be read, or belongs to another run."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, through a temporary file, fsync and a rename."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; the previous one stands until this one is complete."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())


class KeepState(pl.Callback):
    """Writes the resumable state every so many seconds and after each epoch, and the best weights of all.

    It also counts the seconds of training, those of earlier sessions included, as far as their state was written.

    Args:
        folder: `checkpoint/<run>`.
        seconds: At most this much work is lost; 0 writes after every step.
        patience: Epochs without a better score before training stops.
    """

    def __init__(self, folder: Path, seconds: float, patience: int) -> None:
        self._folder, self._seconds, self._patience = folder, seconds, patience
        self._written = self._start = time.monotonic()
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Of all sessions until now."""
        return self._before + time.monotonic() - self._start

    def on_train_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back."""
        self._before = float(state_dict["seconds"])

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Inside an epoch; after its last batch the state is written when validation is done."""
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not last and time.monotonic() - self._written >= self._seconds:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation."""
        assert isinstance(pl_module, MetricLearningModule)
        history = pl_module.history
        if best_epoch(history) == len(history):
            write_bytes(self._folder / BEST, save(_contiguous(pl_module.embedder.state_dict())))
        if finished(history, trainer.max_epochs or 0, self._patience):
            trainer.should_stop = True
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder / LAST)
        self._written = time.monotonic()


def best_epoch(history: list[dict[str, float]]) -> int:
    """The number (from 1) of the epoch with the highest validation accuracy@1, then mAP, then earliest; 0 if none."""
    if not history:
        return 0
    scores = [(line["validation/accuracy@1"], line["validation/map"]) for line in history]
    return scores.index(max(scores)) + 1


def finished(history: list[dict[str, float]], max_epochs: int, patience: int) -> bool:
    """Whether training is over: all epochs done, or none better for `patience` epochs."""
    return len(history) >= max_epochs or (bool(history) and len(history) - best_epoch(history) >= patience)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Reads a checkpoint with torch's `weights_only=True`.

    Raises:
        CheckpointError: Truncated, damaged, or holding more than tensors and plain values.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{file}: cannot be read ({reason}): give resume=never to start over; the file is kept"
        ) from error
    return state


def compare_settings(begun: str, before: dict[str, Any], now: dict[str, Any], way_out: str) -> None:
    """Refuses to continue with settings that would make it something else.

    Args:
        begun: What was begun, such as `run x`.
        before: Settings it was begun with, flat (`trainer.batch_size` -> value).
        now: Settings of this call, flat.
        way_out: What to do instead of going back to them.

    Raises:
        CheckpointError: Names what differs.
    """
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if not changed:
        return
    if "data_fingerprint" in changed:
        what = "another data set, or files of it have changed (or what exclude.csv leaves out)"
    else:
        what = "; ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in changed[:6])
    raise CheckpointError(f"{begun} was started with other settings: {what}; go back to them to continue, {way_out}")


def _contiguous(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
