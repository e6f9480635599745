"""A run as it was asked for: settings, data, places; what may differ when it goes on after a kill."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lookalike.data.manifest import Manifest
from lookalike.errors import LookalikeError
from lookalike.models.world import ALONE, World
from lookalike.settings.check import flat
from lookalike.settings.training import Train
from lookalike.training.parents import Parent

# What may differ between the sessions of one run: none of it changes the weights (the cache not beyond rounding).
FREE = (
    "resume",
    "logger",
    "data.root",
    "data.exclude",  # what these three do is in the fingerprint of the data
    "data.images",
    "data.columns",
    "models_dir",
    "checkpoint_dir",
    "trainer.workers",
    "trainer.checkpoint_seconds",
    "trainer.trunk_cache",
    "trainer.devices",  # a batch is the same, however many share it
    "trainer.nodes",
    "augment.threads",
    "quality",  # what it chose is in the settings
    "unknown_folds",  # of the thresholds alone
    "gallery.include",  # a finished run writes its bundle again where another is asked for
)
Watch = Callable[[list[dict[str, float]]], bool]


class TrainError(LookalikeError):
    """Training cannot start or go on."""


@dataclass(frozen=True)
class Plan:
    """One training run.

    Attributes:
        settings: Of the run.
        manifest: The data set, augmented copies included.
        parent: The comparison or search that it belongs to.
        watch: Gets the history after every epoch; True ends the run early.
        world: The processes that train it, and which this is.
    """

    settings: Train
    manifest: Manifest
    parent: Parent | None = None
    watch: Watch | None = None
    world: World = ALONE

    @property
    def run(self) -> str:
        """Its name."""
        return name_of(self.settings)

    @property
    def checkpoint(self) -> Path:
        """The folder of its resumable state."""
        return checkpoint_folder(self.settings)

    @property
    def target(self) -> Path:
        """The folder of its bundle."""
        return Path(self.settings.models_dir) / self.run

    @cached_property
    def binding_settings(self) -> dict[str, Any]:
        """Flat settings that must be the same when the run goes on, and the fingerprint of the data."""
        values = {**flat(self.settings.model_dump()), "run": self.run, "data_fingerprint": self.manifest.fingerprint()}
        return {name: value for name, value in values.items() if not name.startswith(FREE)}


def name_of(settings: Train) -> str:
    """The name of a run: its own, or one of what it is."""
    return settings.run or run_name(settings)


def checkpoint_folder(settings: Train) -> Path:
    """The folder of a run's resumable state."""
    return Path(settings.checkpoint_dir) / name_of(settings)


def run_name(settings: Train) -> str:
    """The name of a run that was given none: from data, model, preset, loss and seed."""
    data = Path(settings.data.root or "data").resolve().stem
    backbone = settings.model.backbone.rpartition(":")[2].replace("/", "-")  # of hf-hub:timm/resnet18
    preset = [settings.quality.name] if settings.quality else []
    return "-".join([data, backbone, *preset, settings.loss.name, f"s{settings.seed}"])
