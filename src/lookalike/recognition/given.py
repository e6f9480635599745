"""What a person says of a checkpoint, and facts that are given, saved, or usual, in this order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lookalike.errors import ModelError, one_line
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels


@dataclass(frozen=True)
class Given:
    """What a person says of a checkpoint; None where nothing is said.

    Attributes:
        model: project, backbone, embedding_size, pooling, bn_neck, last_stride, mean, std.
        pixels: height, width, resize, interpolation, antialias.
        key: Which set of weights.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


NOTHING = Given()


def given_of(model: CheckpointModel, pixels: CheckpointPixels, key: str | None) -> Given:
    """What a person says of a checkpoint, of checked settings.

    Args:
        model: Of its network.
        pixels: Of its images.
        key: Which set of weights.
    """
    return Given(model.model_dump(), pixels.model_dump(), key)


def weights_fact(contents: Contents, given: Given) -> Fact:
    """Which set of weights is taken.

    Args:
        contents: Of the checkpoint.
        given: What a person says.
    """
    if given.key:
        return Fact(given.key, "given", "ckpt_key")
    return Fact(contents.key or "all of the file", "shapes", "the network's own")


def network_fact(
    name: str,
    contents: Contents,
    settings: Mapping[str, tuple[str, ...]],
    usual: Mapping[str, Fact],
    given: Given,
) -> Fact | None:
    """A fact of the network, given, saved, or as the project has it; None where nothing says it.

    Args:
        name: Of the fact and of the setting.
        contents: Of the checkpoint.
        settings: Name of a fact -> names of the project's settings.
        usual: Name of a fact -> as the project has it.
        given: What a person says.

    Raises:
        ModelError: What was saved is none.
    """
    if given.model.get(name) is not None:
        return Fact(given.model[name], "given", f"model.{name}")
    if name in settings and (saved := contents.setting(*settings[name])):
        if name == "last_stride" and saved[0] not in (1, 2):
            raise ModelError(
                f"{contents.file}: {saved[1]} is {one_line(saved[0], 40)}, expected 1 or 2: give model.last_stride"
            )
        return Fact(saved[0], "saved settings", saved[1])
    return usual.get(name)


def whole(fact: Fact | None) -> int | None:
    """The number of a fact, None where it is none.

    Args:
        fact: Of the network.
    """
    return fact.value if fact is not None and isinstance(fact.value, int) else None
