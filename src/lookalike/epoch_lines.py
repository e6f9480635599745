"""What a person sees of training: a progress bar inside each epoch, a line after it; and who may end it early."""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from lookalike.checkpoint import best_epoch
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.progress import progress, say
from lookalike.trackers import Tracker

Watch = Callable[[list[dict[str, float]]], bool]


class Abandoned(Exception):  # noqa: N818 (no error: whoever watches the run ended it)
    """A run was ended early; its checkpoint stands."""


class Watched(pl.Callback):
    """Shows the history to a watch after every epoch; stands behind the callback that writes the state.

    Args:
        watch: Gets the history; True ends the run, unless that was its last epoch anyway.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Asks it."""
        assert isinstance(pl_module, MetricLearningModule)
        if self._watch(pl_module.history) and not trainer.should_stop:
            raise Abandoned


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
