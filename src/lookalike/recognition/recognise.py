"""What a checkpoint holds, worked out from the file alone: names, shapes, saved settings, and the project's ways."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from lookalike.recognition.backbones import Match, find_backbones
from lookalike.recognition.catalogue import unfilled
from lookalike.recognition.contents import Contents, read_contents
from lookalike.recognition.conventions.convention import Convention
from lookalike.recognition.conventions.tables import convention_of
from lookalike.recognition.facts import Blueprint, Fact, Recognised
from lookalike.recognition.heads import Head, neck_of, read_head
from lookalike.recognition.pixel_facts import pixel_facts
from lookalike.recognition.refusals import (
    refuse_foreign_tensors,
    refuse_several,
    refuse_ties,
    refuse_unexplained,
    refuse_unknown,
)
from lookalike.recognition.surgery import own_last_stride
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels

_COPIES = re.compile(r"(^|[._])(teacher|ema|momentum|encoder_k|key_encoder|target|swa|average)([._]|$)")


@dataclass(frozen=True)
class Given:
    """What a person says of a checkpoint; None where nothing is said.

    Attributes:
        model: backbone, pooling, last_stride, mean, std.
        pixels: height, width, resize, interpolation, antialias.
        key: Which set of weights.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


def given_of(model: CheckpointModel, pixels: CheckpointPixels, key: str | None) -> Given:
    """What a person says of a checkpoint, of checked settings.

    Args:
        model: Of its network.
        pixels: Of its images.
        key: Which set of weights.
    """
    return Given({**model.model_dump()}, pixels.model_dump(), key)


def recognise(file: Path, given: Given = Given()) -> tuple[Recognised, dict[str, Tensor]]:
    """Works out what a file holds.

    Args:
        file: A checkpoint of any project, or plain weights.
        given: What a person says of it, which wins.

    Returns:
        What it is, and its tensors by their names in the file.

    Raises:
        LookalikeError: It cannot be read, or is not recognised as a whole; the text says what of it is, and what would
            settle the rest.
    """
    contents = read_contents(file, given.key)
    refuse_foreign_tensors(contents)
    convention, shown = convention_of(contents)
    match, other_weights = _chosen(contents, given)
    wrapper = convention.prefix_of(match.view.prefix)
    width = int(unfilled(match.architecture).num_features)  # type: ignore[arg-type]
    rest = [name for name in contents.tensors if name not in match.used and not _of_a_copy(name, other_weights)]
    head = read_head(convention, contents, rest, wrapper or "", width)
    refuse_unexplained(contents, match, head)
    facts = {"project": Fact(convention.project, "convention", shown)} if shown else {}
    facts |= _facts(contents, convention, match, head, given)
    facts |= pixel_facts(contents, convention, match, given.pixels, given.model)
    blueprint = _blueprint(convention, match, head, facts)
    recognised = Recognised(str(file), facts, blueprint, head.left_out, other_weights)
    return recognised, contents.tensors


def _chosen(contents: Contents, given: Given) -> tuple[Match, list[str]]:
    """The network that embeds, and the places of other sets of its weights."""
    shapes = {name: tuple(tensor.shape) for name, tensor in contents.tensors.items()}
    matches, near = find_backbones(shapes)
    if not matches:
        refuse_unknown(contents, near)
    own = [match for match in matches if not _COPIES.search(match.view.prefix)] or matches
    copies = [match.view.prefix.rstrip(".") for match in matches if match not in own]
    largest = own[0]
    if len(own) > 1:
        refuse_several(contents, own)
    return refuse_ties(contents, largest, given.model.get("backbone")), [*contents.others, *copies]


def _of_a_copy(name: str, places: list[str]) -> bool:
    """Whether a tensor is of another set of weights: of a teacher, or an average."""
    return any(name.startswith(f"{place.partition('.')[0]}.") for place in places if _COPIES.search(place))


def _facts(contents: Contents, convention: Convention, match: Match, head: Head, given: Given) -> dict[str, Fact]:
    """What the network is."""
    where = f"{len(match.places)} tensors" + (f" under {match.view.prefix[:-1]}" if match.view.prefix else "")
    library = f", in {match.view.library}'s names" if match.view.library != "timm" else ""
    facts = {
        "weights": Fact(contents.key or "all of the file", "shapes", "the network's own"),
        "architecture": Fact(match.architecture, "shapes", where + library),
    }
    if given.key:
        facts["weights"] = Fact(given.key, "given", "ckpt_key")
    own = own_last_stride(unfilled(match.architecture))
    if own is not None:
        facts["last_stride"] = _fact("last_stride", contents, convention, given.model) or Fact(
            own, "convention", f"timm's {match.architecture}"
        )
    facts["pooling"] = _fact("pooling", contents, convention, given.model) or Fact(
        "own", "convention", f"what {match.architecture} does"
    )
    if head.power:
        power = round(float(contents.tensors[head.power].float().reshape(())), 6)
        facts["pooling"] = Fact("gem", "shapes", head.power)
        facts["gem_power"] = Fact(power, "shapes", head.power)
    facts["neck"] = Fact(neck_of(head.layers), "shapes", ", ".join(layer.stem for layer in head.layers if layer.stem))
    if taken := _fact("taken", contents, convention, given.model):
        facts["taken"] = taken
    return facts


def _fact(name: str, contents: Contents, convention: Convention, given: Mapping[str, Any]) -> Fact | None:
    """Given, saved, or as the project has it."""
    if given.get(name) is not None:
        return Fact(given[name], "given", f"model.{name}")
    if name in convention.settings and (saved := contents.setting(*convention.settings[name])):
        return Fact(saved[0], "saved settings", saved[1])
    if name in convention.facts:
        value, source = convention.facts[name]
        return Fact(value, "convention", f"{source} of {convention.project} {convention.version}".strip())
    return None


def _blueprint(convention: Convention, match: Match, head: Head, facts: dict[str, Fact]) -> Blueprint:
    stride, pooling = facts.get("last_stride"), facts["pooling"].value
    changes = [
        change for family, names in convention.changes.items() if family in match.architecture for change in names
    ]
    return Blueprint(
        match.architecture,
        {name: place.names for name, place in match.places.items()},
        int(stride.value) if stride and isinstance(stride.value, int) else None,
        pooling,  # type: ignore[arg-type]
        float(facts["gem_power"].value) if "gem_power" in facts else 3.0,  # type: ignore[arg-type]
        1,
        tuple(head.layers),
        bool(facts["flip"].value),
        tuple(changes),
    )
