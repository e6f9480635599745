"""What stands between the pooling and the embedding, of the tensors that are not the backbone's.

Letters in shapes: D embedding, W width of what the pooling gives.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Kind, Layer
from lookalike.recognition.projects.project import Project, Step

PARTS = ("weight", "bias", "running_mean", "running_var")
_POWER = re.compile(r"(^|\.)(p|power)$")
_POOLS = re.compile(r"pool|gem", re.IGNORECASE)


@dataclass
class Head:
    """What of a file is behind the backbone.

    Attributes:
        layers: Between the pooling and the embedding, in their order.
        width: D.
        power: Name in the file of the power of GeM pooling, empty where there is none.
        left_out: Names of what acts on the loss alone.
        unexplained: Names that nothing is known of.
        problem: Why the layers make no network, empty where they do.
        doubtful: A linear layer that may be the head or a classifier, and its D.
        projector: Whether that layer has the name of one that some projects drop when they test.
        two_sides: A batch norm whose both sides are tested, by project; empty where there is none or one was said.
        asked_out: Layers that are left out as a person says so.
        settled: Where a saved setting stands that told the head from a classifier.
    """

    layers: list[Layer] = field(default_factory=list)
    width: int = 0
    power: str = ""
    left_out: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    problem: str = ""
    doubtful: tuple[str, int] | None = None
    projector: bool = False
    two_sides: str = ""
    asked_out: list[str] = field(default_factory=list)
    settled: str = ""


def read_head(project: Project, contents: Contents, rest: list[str], wrapper: str, width: int) -> Head:
    """Sorts what is not the backbone's as the project has it.

    Args:
        project: Who wrote the file.
        contents: Of the checkpoint.
        rest: Names that are not the backbone's.
        wrapper: What stands before the project's own names.
        width: W.
    """
    head = Head(width=width)
    inner = {name: name.removeprefix(wrapper) for name in rest}
    stems = {name: inner[name].rpartition(".")[0] for name in rest}
    taken: set[str] = set()
    head.power = gem_power(contents.tensors, rest)
    for step in project.steps or ():
        stems_of = dict.fromkeys(name.rpartition(".")[0] for name in rest if re.fullmatch(step.stems, stems[name]))
        for stem in sorted(stems_of, key=naturally):
            taken |= _add(head, contents.tensors, stem, step)
    bare = [layer.stem for layer in head.layers if layer.kind in ("linear", "convolution")]
    between = len(head.layers) == len(bare) > 1 and not any(step.behind for step in project.steps or ())
    if between and not head.problem:
        head.problem = f"several linear layers ({', '.join(bare)}), and what stands between them leaves no tensor"
    for name in rest:
        if name in taken or name == head.power:
            continue
        if re.fullmatch(project.left_out, inner[name]) or re.fullmatch(project.left_out, name):
            head.left_out.append(name)
        else:
            head.unexplained.append(name)
    return head


def gem_power(tensors: dict[str, Tensor], rest: list[str]) -> str:
    """The name of the power of GeM pooling, empty where there is none.

    Args:
        tensors: Of the file.
        rest: Names that are not the backbone's.
    """
    powers = [name for name in rest if _POWER.search(name) and _POOLS.search(name) and tensors[name].numel() == 1]
    return powers[0] if powers else ""


def _add(head: Head, tensors: dict[str, Tensor], stem: str, step: Step) -> set[str]:
    """Adds a layer and what follows it; returns the names of its tensors."""
    names = {part: f"{stem}.{part}" for part in PARTS if f"{stem}.{part}" in tensors}
    kind = kind_of(tensors, stem)
    if kind is None:
        return set()
    entering, leaving = sides(tensors, stem)
    if entering != head.width and not head.problem:
        head.problem = f"{stem} takes {entering} values, what stands before it gives {head.width}"
    head.width = leaving
    head.layers.append(Layer(kind, stem, head.width, "bias" in names))
    if kind in step.behind:
        head.layers.append(Layer(step.behind[kind]))
    return set(names.values())


def kind_of(tensors: dict[str, Tensor], stem: str) -> Kind | None:
    """What a layer is by the shapes of its tensors, None for none of these.

    Args:
        tensors: Of the file.
        stem: Before `.weight`.
    """
    if f"{stem}.running_mean" in tensors:
        return "batch norm" if tensors[f"{stem}.running_mean"].ndim == 1 else None
    weight = tensors.get(f"{stem}.weight")
    if weight is None:
        return None
    if weight.ndim == 2:
        return "linear"
    return "convolution" if weight.ndim == 4 and tuple(weight.shape[2:]) == (1, 1) else None


def sides(tensors: dict[str, Tensor], stem: str) -> tuple[int, int]:
    """How many values a layer takes and gives.

    Args:
        tensors: Of the file.
        stem: Of the layer's names.
    """
    if f"{stem}.running_mean" in tensors:
        width = int(tensors[f"{stem}.running_mean"].shape[0])
        return width, width
    shape = tensors[f"{stem}.weight"].shape
    return int(shape[1]), int(shape[0])


def linear_sides(tensors: dict[str, Tensor], head: Head) -> dict[str, tuple[int, int]]:
    """Stem of each linear layer that is left out of a head -> how many values it gives and takes.

    Args:
        tensors: Of the file.
        head: As it was read.
    """
    stems = dict.fromkeys(name.rpartition(".")[0] for name in (*head.left_out, *head.unexplained))
    stems |= {head.doubtful[0]: None} if head.doubtful else {}
    plain = [stem for stem in stems if kind_of(tensors, stem) in ("linear", "convolution")]
    return {stem: (sides(tensors, stem)[1], sides(tensors, stem)[0]) for stem in plain}


def naturally(text: str) -> list[tuple[int, str]]:
    """A key by which numbers come in their order: layer 10 behind layer 9.

    Args:
        text: To be sorted.
    """
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def neck_of(layers: Iterable[Layer]) -> str:
    """The layers in words, `none` where there are none.

    Args:
        layers: Between the pooling and the embedding.
    """
    return ", ".join(f"{layer.kind} {layer.width}" if layer.width else layer.kind for layer in layers) or "none"
