"""How long training will take, told before it begins: a few real steps, timed on copies.

Neither the module nor the random state is changed, so a run's bits are the same with and without.

Letters in shapes: B batch, H height, W width.
"""

import copy
import math
import os
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.settings.training import Train
from lookalike.training.build import torch_device
from lookalike.training.cpu.precision import prepare

_WORTH_TELLING = 20.0  # seconds of training
_MOST_STEPS, _LONGEST = 6, 1.2  # timed steps, two at least, and seconds of them after which no other is begun


@dataclass(frozen=True)
class Estimate:
    """How long the rest of a run will take, its export left aside.

    Attributes:
        epochs: That are left, one that was begun among them.
        steps: Of an epoch.
        steps_left: Of all epochs that are left.
        step_seconds: Of one step.
        validation_seconds: Of one validation.
        patience: Epochs without a better score before training stops.
        resumed: Whether some of the run is done already.
    """

    epochs: int
    steps: int
    steps_left: int
    step_seconds: float
    validation_seconds: float
    patience: int
    resumed: bool = False

    @property
    def seconds(self) -> float:
        """Of all that is left."""
        return self.steps_left * self.step_seconds + self.epochs * self.validation_seconds

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        which = f"the {epochs} left, each" if self.resumed else epochs
        early = f"; it stops earlier when {self.patience} epochs bring nothing" if self.patience < self.epochs else ""
        return (
            f"time: about {duration(self.seconds)} for {which} of {self.steps} steps ({_short(self.step_seconds)} a "
            f"step, {_short(self.validation_seconds)} of validation each){early}"
        )


def estimate(
    settings: Train, module: MetricLearningModule, datamodule: ImageDataModule, state: dict[str, Any] | None
) -> Estimate | None:
    """Times steps of training and a batch of validation on a copy of the module.

    Args:
        settings: Of the run.
        module: What will be trained.
        datamodule: Its data; its loaders are not moved.
        state: The checkpoint of a run that goes on.

    Returns:
        None where the whole takes some seconds only, or the loss is no number (which training itself will say).
    """
    steps, trainer = datamodule.steps, settings.trainer
    epochs = trainer.max_epochs - (len(state["lookalike"]["history"]) if state else 0)
    steps_left = trainer.max_epochs * steps - (int(state["global_step"]) if state else 0)
    device = torch_device(trainer.device)
    start = time.perf_counter()
    images, labels = datamodule.first_batch()
    # What is cached is read in no time; images are decoded while the network runs, or before it.
    reading = (time.perf_counter() - start) / len(labels) if images.dtype == torch.uint8 else 0.0
    with isolate_rng():
        copied = copy.deepcopy(module).to(device)
        prepare(copied.embedder, module.hparams["arithmetic"], trainer.compiled)
        try:
            stepping = _step_seconds(copied, (images.to(device), labels.to(device)), steps_left)
        except FloatingPointError:
            return None
        if stepping is None:
            return None
        validation = _validation_seconds(copied, datamodule, device, reading)
    batch = _while(stepping, reading * len(labels), datamodule.workers, device)
    return Estimate(epochs, steps, steps_left, batch, validation, trainer.patience, state is not None)


def _step_seconds(module: MetricLearningModule, batch: tuple[Tensor, Tensor], left: int) -> float | None:
    """Median seconds of a step, its data aside; None where all that are left take next to nothing."""
    optimizer = module.configure_optimizers()["optimizer"]
    module.train()
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < _MOST_STEPS and sum(seconds) < _LONGEST):
        start = time.perf_counter()
        loss: Any = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
        if left * min(seconds) < _WORTH_TELLING:
            return None
    return statistics.median(seconds[1:])  # the first one also sets up what the others use


@torch.no_grad()
def _validation_seconds(
    module: MetricLearningModule, datamodule: ImageDataModule, device: str, reading: float
) -> float:
    """Seconds of one validation: those of a batch, for all images; where images are read, by the time of training's."""
    images = datamodule.validation_sample()
    count = sum(len(rows) for rows in datamodule.validation_rows)
    module.eval()
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        module.validation_step((images.to(device), torch.zeros(0)), 0)
        seconds.append(time.perf_counter() - start)
    reading = reading if images.dtype == torch.uint8 else 0.0
    return count * _while(min(seconds) / len(images), reading, datamodule.workers, device)


def _while(network: float, reading: float, workers: int, device: str) -> float:
    """Seconds of a network and of what other processes read for it meanwhile, on the same cores where it has no GPU."""
    if not workers:
        return network + reading
    shared = network + reading / (os.cpu_count() or 1) if device == "cpu" else network
    return max(shared, reading / workers)


def duration(seconds: float) -> str:
    """About so long, as people say it: 40 s, 7 min, 1 h 20 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{math.ceil(seconds / 5) * 5} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
