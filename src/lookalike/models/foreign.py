"""Checkpoints that another project wrote: what of them fits an embedder is loaded, what stands in the way is told.

`foreign_names` says where in the file the parts of the embedder stand.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.models.backbone import resampled
from lookalike.models.checkpoint_tensors import Weights, read_weights
from lookalike.models.embedder import Embedder
from lookalike.models.foreign_names import (
    COUNT,
    Sources,
    find_sources,
    first_names,
    fits,
    is_linear,
    resnet_of,
)

_OTHER_SIZE = (
    "the file was trained on images of another size, which it does not tell: give its pixels.height and pixels.width"
)


@dataclass(frozen=True)
class Match:
    """How the tensors of a file and of an embedder came together.

    Attributes:
        matched: Names in the embedder that took their values from the file.
        missing: Names in the embedder that the file has not. Batch norm's count of batches, which nothing reads, and
            a bias whose layer has none in the file (it becomes 0) are not among them.
        unexpected: Names in the file that the embedder has no place for.
        reshaped: Name in the embedder, shape in the file, shape in the embedder, where these differ.
        prefix: What stands before the backbone's names in the file.
        remarks: What else a person should know: other weights in the file, and layers that were asked to be left out.
    """

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    prefix: str
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        wanted = len(self.matched) + len(self.missing) + len(self.reshaped)
        prefix = f"prefix {self.prefix}" if self.prefix else "no prefix"
        parts = [f"{len(self.matched)} of {wanted} tensors of the embedder matched ({prefix})"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing in the file: {first_names(self.missing)}")
        if self.reshaped:
            shapes = [f"{name} (file {_shape(there)}, here {_shape(here)})" for name, there, here in self.reshaped]
            parts.append(f"{len(shapes)} of another shape: {first_names(shapes)}")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} in the file not used: {first_names(self.unexpected)}")
        parts += self.remarks
        return "; ".join(parts)


def load_foreign(embedder: Embedder, file: Path, *, allow_partial: bool = False, key: str | None = None) -> Match:
    """Loads the weights of another project's checkpoint in place.

    Args:
        embedder: Takes the values; on an error it is as before.
        file: A `.safetensors` or torch file; no pickle in it is executed.
        allow_partial: Load what fits even when tensors are missing; these keep the values they have.
        key: Which set of weights, where the file holds several, such as `state_dict_ema`; None for the network's own.

    Returns:
        What was matched, for the user to read.

    Raises:
        ModelError: The file does not give the whole embedder, or nothing of it, or values that are not finite.
        TensorsError: The file cannot be read.
    """
    weights = read_weights(file, key)
    tensors = weights.tensors
    sources = find_sources(embedder, tensors)
    tensors |= _at_this_size(embedder, tensors, sources)
    wanted = embedder.state_dict()
    match, values = _match(wanted, tensors, sources)
    match = replace(match, remarks=_remarks(weights, sources))
    other_backbone = _other_backbone(embedder, tensors)
    if not any(name.startswith("backbone.") and not name.endswith(COUNT) for name in match.matched):
        raise ModelError(f"{file}: nothing in it is of this embedder: {match}; {other_backbone}")
    ways = _ways_out(match, sources, other_backbone)
    if ways and not allow_partial:
        raise ModelError(f"{file}: {match}; {'; '.join(ways)}; or allow_partial=true to load what fits")
    broken = [name for name in match.matched if not torch.isfinite(values[name].to(wanted[name].dtype)).all()]
    if broken:
        raise ModelError(
            f"{file}: expected finite weights, found nan or inf in {len(broken)} tensors ({first_names(broken)}): "
            "its training diverged or the file is damaged: take an earlier checkpoint"
        )
    embedder.load_state_dict(values, strict=False)
    return match


def _at_this_size(embedder: Embedder, tensors: dict[str, Tensor], sources: Sources) -> dict[str, Tensor]:
    """The backbone's tensors by their names in the file, those of another image size brought to the embedder's."""
    places = {name.removeprefix("backbone."): there for name, there in sources.names.items() if there in tensors}
    inner = {name: tensors[there] for name, there in places.items() if f"backbone.{name}" in sources.names}
    return {places[name]: value for name, value in resampled(embedder.backbone, inner).items()}


def _remarks(weights: Weights, sources: Sources) -> list[str]:
    """Other weights in the file, and layers that were asked to be left out."""
    others = [*weights.others, *(prefix.rstrip(".") for prefix in sources.copies if prefix)]
    lines = []
    if others:
        taken = ".".join(filter(None, (weights.key, sources.prefix.rstrip(".")))) or "those without a prefix"
        lines.append(
            f"several sets of weights in the file: taken are {taken}, there are also {first_names(others)}: "
            f"ckpt_key={others[0]} takes these"
        )
    if sources.left_out:
        lines.append(
            f"the file's own head is left out, as no head is asked for (model.embedding_size=null): "
            f"{first_names(sources.left_out)}"
        )
    return lines


def _match(wanted: dict[str, Tensor], tensors: dict[str, Tensor], sources: Sources) -> tuple[Match, dict[str, Tensor]]:
    """What came together, and the values to load."""
    missing: list[str] = []
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    values: dict[str, Tensor] = {}
    for name, here in wanted.items():
        there = tensors.get(sources.names.get(name, ""))
        if there is not None and name in sources.powers:
            there = there.reshape(())
        if there is not None and name == "head.weight" and there.ndim > here.ndim and is_linear(there):
            there = there[:, :, 0, 0]  # a convolution of one pixel on what the pooling gives
        if there is not None and fits(there, here):
            values[name] = there
        elif name.endswith(COUNT):
            continue
        elif there is not None and there.shape != here.shape:
            reshaped.append((name, tuple(there.shape), tuple(here.shape)))
        else:
            missing.append(name)
    matched = list(values)
    for name, other, value in (
        ("head.bias", "head.weight", 0.0),
        ("neck.bias", "neck.running_mean", 0.0),
        ("neck.weight", "neck.running_mean", 1.0),
    ):
        if name in missing and other in values and sources.names[name] not in tensors:
            missing.remove(name)
            values[name] = torch.full_like(wanted[name], value)
    used = {source for name, source in sources.names.items() if name in wanted}
    unexpected = [name for name in tensors if name not in used]
    return Match(matched, missing, unexpected, reshaped, sources.prefix), values


def _ways_out(match: Match, sources: Sources, other_backbone: str) -> list[str]:
    """A line per thing that stands in the way; empty when the whole embedder matched and nothing else acts."""
    shapes = {name: (there, here) for name, there, here in match.reshaped}
    gone = {*match.missing, *shapes}
    if sources.deeper or any(name.startswith("backbone.") for name in gone.difference(sources.powers)):
        others = gone.difference(sources.powers)
        sized = [name for name in shapes if re.search(r"^backbone\..*(pos|relative|bias)", name)]
        only_sized = (
            sized and not sources.deeper and {name for name in others if name.startswith("backbone.")} == {*sized}
        )
        return [_OTHER_SIZE] if only_sized else [other_backbone]
    ways = list(sources.notes)
    if "head.weight" in shapes:
        there, here = shapes["head.weight"]
        ways.append(
            f"head.weight is {_shape(there)} in the file ({sources.names['head.weight']}), {_shape(here)} here: "
            f"give model.embedding_size={there[0]}, or null for the backbone's own features if that is a classifier"
        )
    elif "head.weight" in gone and not sources.notes:
        ways.append("no head in the file: give model.embedding_size=null for the backbone's own features")
    if "neck.running_mean" in gone and "head.weight" not in gone:
        ways.append("no batch norm behind the head in the file: give model.bn_neck=false")
    if gone.intersection(sources.powers):
        ways.append("no power of GeM pooling in the file: give model.pooling=avg")
    return ways or ([f"{first_names(sorted(gone))}: expected in the file"] if gone else [])


def _other_backbone(embedder: Embedder, tensors: dict[str, Tensor]) -> str:
    """Says that the file is of another architecture, and of which when its names tell."""
    architecture = embedder.backbone.pretrained_cfg.get("architecture", "this one")
    guess = resnet_of(tensors)
    if guess == architecture:
        return f"the file does not hold the whole of {architecture}: take one that does"
    hint = f"its names look like {guess}: give model.backbone={guess}" if guess else "give its model.backbone"
    return f"the file is of another backbone than {architecture}: {hint}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one value"
