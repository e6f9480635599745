"""An embedder out of a Lightning checkpoint, of ours or of another project, and a test run of it."""

import os
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch

from lookalike.console import quiet_lightning, say
from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.resumable_loader import default_workers
from lookalike.evaluation.identify import Identification, Rules
from lookalike.models.checkpoint_file import BEST, LAST, CheckpointError, read_checkpoint
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign
from lookalike.models.metric_learning_module import MetricLearningModule


def restore(
    file: Path, model: dict[str, Any], pixels: dict[str, Any], allow_partial: bool = False
) -> tuple[Embedder, PixelSettings, dict[str, Any]]:
    """Builds an embedder and fills it from a checkpoint, without executing any pickle.

    Args:
        file: A checkpoint of `lookalike train` (its own settings are used), of another project, or plain weights.
        model: Settings of the model, for a checkpoint of another project.
        pixels: How images are read, for the same.
        allow_partial: Also when tensors of the model are missing in the file.

    Returns:
        The embedder, how images are read, and the settings of the model that were used.

    Raises:
        LookalikeError: The file cannot be read, or is of another architecture.
    """
    own = _own_settings(file)
    if own:
        model, pixels = _group(own, "model"), _group(own, "pixels")
        say(f"{file}: a checkpoint of lookalike; its own model and pixel settings are used")
    names = ("backbone", "embedding_size", "pooling", "bn_neck", "mean", "std")
    model = {name: model[name] for name in names}
    embedder = Embedder(**model, trainable=["all"])
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial)}")
    if not own:
        say(
            "the size of the input, its mean and std, and strides are not in such a file: if the figures are too low, "
            "compare pixels.height, pixels.width, model.mean and model.std with those of its training"
        )
    return embedder, PixelSettings(**pixels), model


def run_test(
    embedder: Embedder,
    manifest: Manifest,
    pixels: PixelSettings,
    split: str,
    rules: Rules,
    device: Literal["auto", "cpu", "cuda"],
) -> Identification:
    """Lets Lightning test an embedder on a split."""
    quiet_lightning()
    torch.set_num_threads(os.cpu_count() or 1)
    module = MetricLearningModule(embedder, rules=rules)
    datamodule = ImageDataModule(manifest, pixels, workers=default_workers(), test_split=split)
    trainer = pl.Trainer(
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device],
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.test(module, datamodule=datamodule, verbose=False)
    assert module.identification is not None
    return module.identification


def _own_settings(file: Path) -> dict[str, Any]:
    """The settings that a checkpoint of ours holds; of `best.safetensors`, those of the checkpoint beside it."""
    source = file.with_name(LAST) if file.name == BEST else file
    try:
        state = read_checkpoint(source)
    except CheckpointError:
        return {}  # of another project, or damaged: reading its tensors will tell
    ours = isinstance(state, dict) and "lookalike" in state
    settings: dict[str, Any] = state["hyper_parameters"]["settings"] if ours else {}
    return settings


def _group(flat: dict[str, Any], name: str) -> dict[str, Any]:
    return {key.partition(".")[2]: value for key, value in flat.items() if key.startswith(f"{name}.")}
