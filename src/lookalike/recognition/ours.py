"""A checkpoint of `lookalike train`: its own settings say what its network is and how its images are read."""

from collections.abc import Mapping
from dataclasses import asdict
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
from lookalike.recognition.contents import read_contents
from lookalike.recognition.facts import Blueprint, Fact, Recognised, Value
from lookalike.recognition.given import Given, weights_fact
from lookalike.recognition.room import need_room_in_the_file
from lookalike.settings.check import SettingsError, check
from lookalike.settings.data import HeldOut
from lookalike.settings.training import Model, Pixels
from lookalike.settings.types import Settings

OF_MODEL = ("backbone", "embedding_size", "pooling", "bn_neck", "mean", "std")
_MODEL_DEFAULTS = {
    **{"backbone": "", "embedding_size": 128, "pooling": "avg", "bn_neck": False, "mean": None, "std": None},
    # Those of training, which a person may give along with the others.
    **{"weights": "none", "trainable": ["all"], "frozen_batch_norm": False},
}
_LONGEST = 200  # letters of a text in a checkpoint's own settings, parts of a list
_NOT_USED = "its own settings say what its network is and how its images are read: what is given is not used"


class Asked(Settings):
    """Settings of a network and of its images, as training has them."""

    model: Model
    pixels: Pixels


def checked(model: Mapping[str, Any], pixels: Mapping[str, Any]) -> Asked:
    """Settings with the defaults of training.

    Args:
        model: Of the network.
        pixels: Of its images.

    Raises:
        SettingsError: One is unknown or out of range.
    """
    read_as = {**PixelSettings().to_dict(), "interpolation": None, "antialias": None, **pixels}
    whole = {"model": {**_MODEL_DEFAULTS, **model}, "pixels": read_as}
    return check(Asked, whole)


def own_settings(file: Path) -> dict[str, Any]:
    """The settings that a checkpoint of ours holds; of `best.safetensors`, those of the checkpoint beside it.

    Args:
        file: The checkpoint.

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


def held_out_of(file: Path) -> HeldOut:
    """What the training held out that wrote a checkpoint of ours; nothing for a file of another project.

    Args:
        file: The checkpoint.

    Raises:
        CheckpointError: It holds settings that nothing can be held out by.
    """
    own = own_settings(file)
    names = [name for name in HeldOut.model_fields if f"data.{name}" in own]
    try:
        return HeldOut.model_validate({name: own[f"data.{name}"] for name in names})
    except ValidationError as error:
        raise _unusable(file, "its own settings of the data", f"data.{error.errors()[0]['loc'][0]}") from error


def restore_ours(
    file: Path, own: Mapping[str, Any], backbone: str | None, allow_partial: bool, key: str | None
) -> tuple[Embedder, PixelSettings, dict[str, Any]]:
    """The network of a checkpoint of ours.

    Args:
        file: The checkpoint.
        own: Its settings.
        backbone: Given name, which a network from a hub or folder needs.
        allow_partial: Also when tensors of the network are missing in the file.
        key: Which set of weights.

    Returns:
        The network, how images are read, and the settings of the model that were used.

    Raises:
        LookalikeError: Its settings cannot be used, or its tensors are not those of its network.
    """
    asked = _of_checkpoint(file, own)
    if is_elsewhere(asked.model.backbone) and backbone != asked.model.backbone:
        raise CheckpointError(
            f"{file}: its own settings take the network from elsewhere (model.backbone={asked.model.backbone}), "
            f"expected the same from you, as no file decides what is fetched: give "
            f"model.backbone={asked.model.backbone} if you know it"
        )
    say(f"{file}: a checkpoint of lookalike; its own model and pixel settings are used")
    built = {name: getattr(asked.model, name) for name in OF_MODEL}
    size = (asked.pixels.height, asked.pixels.width)
    _need_no_more_than_the_file(file, built, size)
    embedder = Embedder(**built, trainable=["all"], size=size)
    say(f"{file}: {load_foreign(embedder, file, allow_partial=allow_partial, key=key)}")
    return embedder, PixelSettings.of(asked.pixels.model_dump()), built


def facts_of_ours(file: Path, own: Mapping[str, Any], given: Given) -> Recognised:
    """What a checkpoint of ours holds, as `restore_ours` makes it.

    Args:
        file: The checkpoint.
        own: Its settings.
        given: What a person says.

    Raises:
        LookalikeError: See `restore_ours`.
    """
    embedder, pixels, built = restore_ours(file, own, given.model.get("backbone"), False, given.key)
    where = "its own settings"
    neck = f"linear {built['embedding_size']}" if built["embedding_size"] else ""
    neck = ", ".join(filter(None, (neck, f"batch norm {embedder.embedding_size}" if built["bn_neck"] else "")))
    scales = {name: [round(float(part) / 255, 6) for part in getattr(embedder, name).flatten()] for name in _SCALES}
    values: dict[str, Value] = {
        **{"architecture": built["backbone"], "pooling": built["pooling"], "neck": neck or "none"},
        **{"taken": "behind the head", "channels": "RGB", "flip": "none", "parts": 1},
        **{name: value for name, value in asdict(pixels).items() if value is not None},
        **scales,
    }
    facts = {name: Fact(value, "saved settings", where) for name, value in values.items()}
    contents = read_contents(file, given.key)
    facts |= {"project": Fact("lookalike", "shapes", "entry lookalike"), "weights": weights_fact(contents, given)}
    names = list(embedder.state_dict())
    heads = [name for name in contents.tensors if not name.startswith("loss.")]
    said = [*given.model.values(), *given.pixels.values()]
    remarks = [_NOT_USED] if any(value not in (None, "auto") for value in said) else []
    left_out = [name for name in contents.tensors if name not in heads]
    blueprint = Blueprint(built["backbone"], {name: (name,) for name in names if not name.endswith("batches_tracked")})
    return Recognised(str(file), facts, blueprint, left_out, contents.others, remarks)


_SCALES = ("mean", "std")


def _of_checkpoint(file: Path, own: Mapping[str, Any]) -> Asked:
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
        return checked(groups["model"], groups["pixels"])
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
