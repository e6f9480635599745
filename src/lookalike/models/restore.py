"""An embedder out of a checkpoint, of `lookalike train` or of another project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.errors import CheckpointError, ModelError, one_line
from lookalike.models.backbone import is_elsewhere
from lookalike.models.checkpoint_file import BEST, LAST
from lookalike.models.checkpoint_tensors import opened
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign
from lookalike.models.foreign_pixels import scaled_as
from lookalike.settings.check import SettingsError, check
from lookalike.settings.data import HeldOut
from lookalike.settings.training import Model, Pixels
from lookalike.settings.types import Settings

_OF_MODEL = ("backbone", "embedding_size", "pooling", "bn_neck", "mean", "std")
_MODEL_DEFAULTS = {
    **{"backbone": "", "embedding_size": 128, "pooling": "avg", "bn_neck": False, "mean": None, "std": None},
    # Those of training, which a person may give along with the others.
    **{"weights": "none", "trainable": ["all"], "frozen_batch_norm": False},
}
_LONGEST = 200  # letters of a text in a checkpoint's own settings, parts of a list
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
        model: Settings of the model, for a checkpoint of another project; for one of ours whose network comes from a
            hub or folder (`hf-hub:...`), that backbone again.
        pixels: How images are read, for the same.
        allow_partial: Also when tensors of the model are missing in the file.
        key: Which set of weights, where the file holds several; None for the network's own.

    Returns:
        The embedder, how images are read, and the settings of the model that were used.

    Raises:
        SettingsError: For a checkpoint of another project, a setting is unknown or out of range.
        LookalikeError: The file cannot be read, or is of another architecture.
    """
    asked = _checked(model, pixels)  # also where they are not used: a misspelt one is never passed over
    own = _own_settings(file)
    if own:
        given, asked = asked.model.backbone, _of_checkpoint(file, own)
        if is_elsewhere(asked.model.backbone) and given != asked.model.backbone:
            raise CheckpointError(
                f"{file}: its own settings take the network from elsewhere (model.backbone={asked.model.backbone}), "
                f"expected the same from you, as no file decides what is fetched: give "
                f"model.backbone={asked.model.backbone} if you know it"
            )
        say(f"{file}: a checkpoint of lookalike; its own model and pixel settings are used")
    elif not asked.model.backbone:
        raise ModelError(f"{file}: a checkpoint of another project does not say its network: give model.backbone")
    built = {name: getattr(asked.model, name) for name in _OF_MODEL}
    size = (asked.pixels.height, asked.pixels.width)
    if own:
        _need_no_more_than_the_file(file, built, size)
    embedder = Embedder(**built, trainable=["all"], size=size)
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial, key=key)}")
    wanted = asked.pixels.model_dump()
    if own:
        return embedder, PixelSettings.of(wanted), built
    say(
        "the size of the input, its mean and std, and strides are not in such a file: if the figures are too low, "
        "compare pixels.height, pixels.width, model.mean and model.std with those of its training"
    )
    read_as, note = scaled_as(file, wanted, embedder.backbone.pretrained_cfg)
    if note:
        say(f"{file}: {note}")
    return embedder, read_as, built


def held_out_of(file: Path) -> HeldOut:
    """What the training held out that wrote a checkpoint of ours; nothing for a file of another project.

    Raises:
        CheckpointError: It holds settings that nothing can be held out by.
    """
    own = _own_settings(file)
    names = [name for name in HeldOut.model_fields if f"data.{name}" in own]
    try:
        return HeldOut.model_validate({name: own[f"data.{name}"] for name in names})
    except ValidationError as error:
        raise _unusable(file, "its own settings of the data", f"data.{error.errors()[0]['loc'][0]}") from error


def _own_settings(file: Path) -> dict[str, Any]:
    """The settings that a checkpoint of ours holds; of `best.safetensors`, those of the checkpoint beside it.

    Raises:
        TensorsError: The file cannot be read.
    """
    source = file.with_name(LAST) if file.name == BEST else file
    if source != file and not source.is_file():
        return {}
    try:
        with opened(source) as (state, _):
            ours = isinstance(state, dict) and "lookalike" in state
            # Written by the module in a trainer of somebody else's, it has no settings of ours.
            hyper_parameters = state.get("hyper_parameters") if isinstance(state, dict) and ours else None
            settings = hyper_parameters.get("settings") if isinstance(hyper_parameters, dict) else None
            return settings if isinstance(settings, dict) else {}
    except CheckpointError as error:
        if source == file:
            raise
        say(f"{error}; the settings of {file} stand in it, so they must be given")
        return {}


def _of_checkpoint(file: Path, own: dict[str, Any]) -> _Asked:
    """A checkpoint's own settings, checked as those of a person are.

    Raises:
        CheckpointError: One of them is none of ours, or out of its range.
    """
    groups: dict[str, dict[str, Any]] = {"model": {}, "pixels": {}}
    try:
        for key, value in own.items():
            group, _, name = key.partition(".") if isinstance(key, str) else ("", "", "")
            if group in groups:
                groups[group][name] = _plain(f"{group}.{name}", value)
        return _checked(groups["model"], groups["pixels"])
    except (SettingsError, ValueError) as error:
        raise _unusable(file, "its own settings", one_line(error)) from error


def _unusable(file: Path, what: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{file}: {what} cannot be used ({reason}): it is damaged, or of a later version of lookalike: copy it again, "
        "or update lookalike"
    )


def _plain(name: str, value: object) -> object:
    """A value of a setting, if it is one that can be printed."""
    parts = value if isinstance(value, list | tuple) else [value]
    if len(parts) > _LONGEST or not all(part is None or isinstance(part, bool | int | float | str) for part in parts):
        raise ValueError(f"{name}: expected a plain value")
    if any(isinstance(part, str) and (len(part) > _LONGEST or not part.isprintable()) for part in parts):
        raise ValueError(f"{name}: expected a short text")
    return value


def _checked(model: Mapping[str, Any], pixels: Mapping[str, Any]) -> _Asked:
    whole = {"model": {**_MODEL_DEFAULTS, **model}, "pixels": {**_PIXEL_DEFAULTS, **pixels}}
    return check(_Asked, whole)


def _need_no_more_than_the_file(file: Path, built: dict[str, Any], size: tuple[int, int]) -> None:
    """Refuses a network that takes far more memory than the file that is said to hold it, before it is made.

    Raises:
        CheckpointError: It does.
    """
    try:
        with torch.device("meta"):  # shapes without numbers
            outline = Embedder(**built, trainable=["all"], size=size)
    except ModelError:
        raise
    except Exception:  # some networks cannot be made without numbers
        return
    needed = sum(part.numel() * part.element_size() for part in outline.state_dict().values())
    there = file.stat().st_size
    if needed > 4 * there:  # weights may have been saved in a quarter of the bytes
        raise CheckpointError(
            f"{file}: its own settings name a network of {needed / 1e6:.0f} MB (model.backbone={built['backbone']}), "
            f"found a file of {there / 1e6:.0f} MB: it is damaged: copy it again"
        )
