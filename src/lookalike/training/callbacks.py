"""What a person sees of training: a progress bar inside each epoch, a line after it; and who may end it early."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from lookalike.console import progress, say
from lookalike.models.checkpoint_file import BEST, LAST, write_weights
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.models.world import ALONE, World
from lookalike.training.history import best_epoch, finished
from lookalike.training.plan import Watch
from lookalike.training.trackers import Tracker


class Abandoned(Exception):  # noqa: N818 (no error: whoever watches the run ended it)
    """A run was ended early; its checkpoint stands."""


class Watched(pl.Callback):
    """Shows the history to a watch after every epoch; stands behind the callback that writes the state.

    Args:
        watch: Gets the history; True ends the run, unless that was its last epoch anyway.
        world: The processes that train it; the first one asks the watch.
    """

    def __init__(self, watch: Watch, world: World = ALONE) -> None:
        self._watch, self._world = watch, world

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Asks it."""
        assert isinstance(pl_module, MetricLearningModule)
        history = pl_module.history
        if self._world.told(lambda: self._watch(history)) and not trainer.should_stop:
            raise Abandoned


class EndsAlike(pl.Callback):
    """Ends a process beside the first one after the same epoch, by the same figures.

    Args:
        patience: Epochs without a better score before training stops.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation."""
        assert isinstance(pl_module, MetricLearningModule)
        if finished(pl_module.history, trainer.max_epochs or 0, self._patience):
            trainer.should_stop = True


class EpochLines(pl.Callback):
    """A progress bar inside each epoch and a line after it; also feeds the tracker.

    Args:
        tracker: Takes the finished epochs.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._start = 0.0
        self._bar: Any = None

    def on_train_start(self, *_: object) -> None:
        """Starts the clock also for an epoch that a resumed run enters in the middle."""
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar."""
        self._start = time.monotonic()
        self._bar = progress(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", int(trainer.num_training_batches)
        )
        self._advance = self._bar.__enter__()

    def on_train_batch_end(self, *_: object) -> None:
        """Moves it."""
        if self._bar is not None:
            self._advance(1)

    def on_validation_start(self, *_: object) -> None:
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


class KeepState(pl.Callback):
    """Writes the resumable state every so many seconds and after each epoch, and the best weights of all.

    It also counts the seconds of training, those of earlier sessions included, as far as their state was written.

    Attributes:
        begun: Whether this session has done a step.

    Args:
        folder: `checkpoint/<run>`.
        seconds: At most this much work is lost; 0 writes after every step.
        patience: Epochs without a better score before training stops.
    """

    def __init__(self, folder: Path, seconds: float, patience: int) -> None:
        self._folder, self._seconds, self._patience = folder, seconds, patience
        self._written = self._start = time.monotonic()
        self._before = 0.0
        self.begun = False

    @property
    def seconds(self) -> float:
        """Of all sessions until now."""
        return self._before + time.monotonic() - self._start

    def on_train_start(self, *_: object) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back."""
        self._before = float(state_dict["seconds"])

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Inside an epoch; after its last batch the state is written when validation is done."""
        self.begun = True
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not last and time.monotonic() - self._written >= self._seconds:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation."""
        assert isinstance(pl_module, MetricLearningModule)
        history = pl_module.history
        if best_epoch(history) == len(history):
            write_weights(self._folder / BEST, pl_module.kept_weights())
        if finished(history, trainer.max_epochs or 0, self._patience):
            trainer.should_stop = True
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder / LAST)
        self._written = time.monotonic()
