"""An embedder out of a checkpoint, of `lookalike train` or of another project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.errors import CheckpointError, ModelError
from lookalike.models.checkpoint_file import BEST, LAST, read_checkpoint
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign
from lookalike.models.foreign_pixels import scaled_as
from lookalike.settings.check import check
from lookalike.settings.training import Model, Pixels
from lookalike.settings.types import Settings

_OF_MODEL = ("backbone", "embedding_size", "pooling", "bn_neck", "mean", "std")
_MODEL_DEFAULTS = {
    **{"backbone": "", "embedding_size": 128, "pooling": "avg", "bn_neck": False, "mean": None, "std": None},
    **{"weights": "none", "trainable": ["all"]},  # those of training, which a person may give along with the others
}
_PIXEL_DEFAULTS = {**PixelSettings().to_dict(), "interpolation": None, "antialias": None}


class _Asked(Settings):
    model: Model
    pixels: Pixels


def restore(
    file: Path,
    model: Mapping[str, Any],
    pixels: Mapping[str, Any],
    allow_partial: bool = False,
    key: str | None = None,
) -> tuple[Embedder, PixelSettings, dict[str, Any]]:
    """Builds an embedder and fills it from a checkpoint, without executing any pickle.

    Args:
        file: A checkpoint of `lookalike train` (its own settings are used), of another project, or plain weights.
        model: Settings of the model, for a checkpoint of another project.
        pixels: How images are read, for the same.
        allow_partial: Also when tensors of the model are missing in the file.
        key: Which set of weights, where the file holds several; None for the network's own.

    Returns:
        The embedder, how images are read, and the settings of the model that were used.

    Raises:
        SettingsError: For a checkpoint of another project, a setting is unknown or out of range.
        LookalikeError: The file cannot be read, or is of another architecture.
    """
    own = _own_settings(file)
    if own:
        model, pixels = _group(own, "model"), _group(own, "pixels")
        say(f"{file}: a checkpoint of lookalike; its own model and pixel settings are used")
    else:
        whole = {"model": {**_MODEL_DEFAULTS, **model}, "pixels": {**_PIXEL_DEFAULTS, **pixels}}
        asked = check(_Asked, whole).model_dump()
        model, pixels = asked["model"], asked["pixels"]
        if not model["backbone"]:
            raise ModelError(f"{file}: a checkpoint of another project does not say its network: give model.backbone")
    built = {name: model[name] for name in _OF_MODEL if name in model}
    embedder = Embedder(**built, trainable=["all"], size=(int(pixels["height"]), int(pixels["width"])))
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial, key=key)}")
    if own:
        return embedder, PixelSettings.of(pixels), built
    say(
        "the size of the input, its mean and std, and strides are not in such a file: if the figures are too low, "
        "compare pixels.height, pixels.width, model.mean and model.std with those of its training"
    )
    read_as, note = scaled_as(file, pixels, embedder.backbone.pretrained_cfg)
    if note:
        say(f"{file}: {note}")
    return embedder, read_as, built


def _own_settings(file: Path) -> dict[str, Any]:
    """The settings that a checkpoint of ours holds; of `best.safetensors`, those of the checkpoint beside it."""
    source = file.with_name(LAST) if file.name == BEST else file
    try:
        state = read_checkpoint(source)
    except CheckpointError:
        return {}  # of another project, or damaged: reading its tensors will tell
    ours = isinstance(state, dict) and "lookalike" in state
    # Written by the module in a trainer of somebody else's, it has no settings of ours.
    settings: dict[str, Any] = state.get("hyper_parameters", {}).get("settings", {}) if ours else {}
    return settings


def _group(flat: dict[str, Any], name: str) -> dict[str, Any]:
    return {key.partition(".")[2]: value for key, value in flat.items() if key.startswith(f"{name}.")}
