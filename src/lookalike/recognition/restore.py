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
from lookalike.models.image_network import ImageNetwork
from lookalike.recognition.network import network_of, pixels_of
from lookalike.recognition.recognise import given_of, recognise
from lookalike.recognition.room import need_room_in_the_file
from lookalike.recognition.surgery import set_last_stride
from lookalike.settings.check import SettingsError, check
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels
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


class _Said(Settings):
    model: CheckpointModel
    pixels: CheckpointPixels


class _Asked(Settings):
    model: Model
    pixels: Pixels


def restore(
    file: Path,
    model: Mapping[str, Any],
    pixels: Mapping[str, Any],
    allow_partial: bool = False,
    key: str | None = None,
) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """Builds the network of a checkpoint and fills it from a checkpoint, without executing any pickle.

    Args:
        file: A checkpoint of `lookalike train` (its own settings are used), of another project, or plain weights.
        model: What is said of the model, for a checkpoint of another project: without its backbone it is worked out
            from the file. For one of ours whose network comes from a hub or folder (`hf-hub:...`), that backbone again.
        pixels: How images are read, for the same.
        allow_partial: Also when tensors of the model are missing in the file.
        key: Which set of weights, where the file holds several; None for the network's own.

    Returns:
        The network, how images are read, and the settings of the model that were used.

    Raises:
        SettingsError: For a checkpoint of another project, a setting is unknown or out of range.
        LookalikeError: The file cannot be read, or is of another architecture.
    """
    said = check(_Said, {"model": dict(model), "pixels": dict(pixels)})  # a misspelt one is never passed over
    own = _own_settings(file)
    if own:
        return _of_ours(file, own, said, allow_partial, key)
    if _is_described(said.model, model):
        return _of_description(file, said, allow_partial, key)
    return _recognised(file, said, key)


def _of_ours(
    file: Path, own: dict[str, Any], said: "_Said", allow_partial: bool, key: str | None
) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """A checkpoint of lookalike, by its own settings."""
    asked = _of_checkpoint(file, own)
    if is_elsewhere(asked.model.backbone) and said.model.backbone != asked.model.backbone:
        raise CheckpointError(
            f"{file}: its own settings take the network from elsewhere (model.backbone={asked.model.backbone}), "
            f"expected the same from you, as no file decides what is fetched: give "
            f"model.backbone={asked.model.backbone} if you know it"
        )
    say(f"{file}: a checkpoint of lookalike; its own model and pixel settings are used")
    built = {name: getattr(asked.model, name) for name in _OF_MODEL}
    size = (asked.pixels.height, asked.pixels.width)
    _need_no_more_than_the_file(file, built, size)
    embedder = Embedder(**built, trainable=["all"], size=size)
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial, key=key)}")
    return embedder, PixelSettings.of(asked.pixels.model_dump()), built


def _is_described(said: CheckpointModel, model: Mapping[str, Any]) -> bool:
    """Whether a person describes the network: its backbone, and what is behind it."""
    return said.backbone is not None and any(
        name in model and model[name] != "auto" and (name == "embedding_size" or model[name] is not None)
        for name in ("embedding_size", "pooling", "bn_neck")
    )


def _of_description(
    file: Path, said: "_Said", allow_partial: bool, key: str | None
) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """A checkpoint of another project, as a person describes it."""
    described = said.model.model_dump(exclude={"embedding_size", "last_stride"}, exclude_none=True)
    described |= {"embedding_size": said.model.embedding_size} if said.model.embedding_size != "auto" else {}
    pixels = said.pixels.model_dump(exclude_none=True)
    sides = dict(zip(("height", "width"), pixels.pop("usual_size", ()), strict=False))
    more: dict[str, Any] = {name: pixels.pop(name) for name in ("shorter_side", "border") if name in pixels}
    asked = _checked(described, {**sides, **pixels})
    built = {name: getattr(asked.model, name) for name in _OF_MODEL}
    embedder = Embedder(**built, trainable=["all"], size=(asked.pixels.height, asked.pixels.width))
    if said.model.last_stride is not None:
        set_last_stride(embedder.backbone, asked.model.backbone, said.model.last_stride)
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial, key=key)}")
    say(
        "the size of the input, its mean and std, and strides are not in such a file: if the figures are too low, "
        "compare pixels.height, pixels.width, model.mean and model.std with those of its training"
    )
    read_as, note = scaled_as(file, asked.pixels.model_dump(), embedder.backbone.pretrained_cfg)
    if note:
        say(f"{file}: {note}")
    return embedder, PixelSettings.of({**read_as.to_dict(), **more}), built


def _recognised(file: Path, said: "_Said", key: str | None) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """A checkpoint of another project, as the file shows."""
    recognised, tensors = recognise(file, given_of(said.model, said.pixels, key))
    network = network_of(recognised, tensors)
    say(f"{file}: {'; '.join([str(recognised), *recognised.notes])}")
    facts = recognised.facts
    built: dict[str, Any] = {name: facts[name].value for name in ("last_stride", "mean", "std") if name in facts}
    return network, pixels_of(recognised), {**said.model.model_dump(), **built, "backbone": facts["architecture"].value}


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
    need_room_in_the_file(file, needed, f"its own settings (model.backbone={built['backbone']}) name a network")
