"""Networks of person re-identification that their authors' names and shapes show, whole: see `models.networks`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lookalike.models.networks.assembled import assembled
from lookalike.models.networks.conventions.convention import Convention
from lookalike.models.networks.conventions.every import CONVENTIONS
from lookalike.recognition.contents import Contents
from lookalike.recognition.surgery import own_last_stride

# Names behind the embedding, by project: what else is there would make another network of it.
_LEFT_OUT = {
    "fast-reid": r"heads\.(weight|classifier(\.\w+)?|cls_layer\.\w+)|pixel_(mean|std)|loss\w*\..*",
    "reid-strong-baseline": r"classifier\.\w+|base\.fc\.\w+",
    "layumi": r"classifier\d*\.(classifier|add_block)\..*|model\.(fc|classifier|head)\.\w+",
    "torchreid": r"classifier(\.\d+)?\.\w+|(global|local)_classifier\.\w+|fc\.\w+|classifier_\w+\.\w+",
    "TransReID": r"classifier\w*\.\w+|bottleneck\w*\.\w+|base\.(fc|head)\.\w+|b[12]\..*",
    "CLIP-ReID": r"classifier\w*\.\w+|bottleneck\w*\.\w+|text_encoder\..*|prompt_learner\..*",
}
_KINDS = {  # class of the network -> whose convention it has, where it is not that of its project
    ("layumi", "PartNet"): "layumi PCB",
    ("torchreid", "StripedResidual"): "torchreid pcb",
    ("torchreid", "HarmoniousNetwork"): "torchreid hacnn",
}
_SETTINGS = {
    "fast-reid": {
        "last_stride": ("model.backbone.last_stride",),
        "size": ("input.size_test",),
        "mean": ("model.pixel_mean",),
        "std": ("model.pixel_std",),
    },
    "layumi": {"last_stride": ("stride",)},
}
_OF_BASELINES = {  # reid-strong-baseline and its children have one form of settings
    "last_stride": ("model.last_stride",),
    "size": ("input.size_test",),
    "mean": ("input.pixel_mean",),
    "std": ("input.pixel_std",),
    "taken": ("test.neck_feat",),
}
_MIRRORS = re.compile(r"^(teacher|ema\w*|momentum|target|swa\w*)$")


@dataclass(frozen=True)
class Authors:
    """A network of a project, wholly there.

    Attributes:
        project: Who wrote it.
        convention: How it reads images and is tested.
        wrapper: What stands before the project's own names in the file.
        names: Of its tensors, without the wrapper.
        left_out: Names in the file of what comes behind the embedding.
        unexplained: Names in the file that nothing is known of.
        kind: What the network is, in words.
        last_stride: Of a ResNet, as the project has it.
        settings: Name of a fact -> names of the project's settings that say otherwise.
        shown_by: What in the file tells the project.
    """

    project: str
    convention: Convention
    wrapper: str
    names: tuple[str, ...]
    left_out: list[str]
    unexplained: list[str]
    kind: str
    last_stride: int | None
    settings: dict[str, tuple[str, ...]]
    shown_by: str


def find_authors(contents: Contents, size: tuple[int, int] | None = None) -> Authors | None:
    """The network of a project whose names and shapes are in a file, None where there is none.

    Args:
        contents: Of the checkpoint.
        size: Height and width that were given.
    """
    for wrapper in _wrappers(contents):
        shapes = {
            name.removeprefix(wrapper): tuple(tensor.shape)
            for name, tensor in contents.tensors.items()
            if name.startswith(wrapper)
        }
        with torch.device("meta"):
            there = assembled(shapes, size or (256, 128))
        if there is None:
            continue
        shown = _shown(contents, there.project, shapes)
        if not shown:
            continue
        network = there.network
        names = tuple(name for name in network.state_dict() if name in shapes)
        outside = [name for name in contents.tensors if not name.startswith(wrapper)]
        behind = [f"{wrapper}{name}" for name in there.unused]
        pattern = _LEFT_OUT[there.project]
        left_out = [name for name in behind if re.fullmatch(pattern, name.removeprefix(wrapper))]
        convention = _convention(there.project, type(network).__name__, names)
        unexplained = [name for name in [*behind, *outside] if name not in left_out]
        return Authors(
            there.project,
            convention,
            wrapper,
            names,
            left_out,
            unexplained,
            _kind(network),
            _last_stride(network),
            _SETTINGS.get(there.project, _OF_BASELINES),
            shown,
        )
    return None


def _wrappers(contents: Contents) -> Iterator[str]:
    """No prefix, and those of one and two parts that hold most tensors."""
    yield ""
    counts: dict[str, int] = {}
    for name in contents.tensors:
        parts = name.split(".")
        for depth in (1, 2):
            if len(parts) > depth and not _MIRRORS.match(parts[0]):
                prefix = ".".join(parts[:depth]) + "."
                counts[prefix] = counts.get(prefix, 0) + 1
    yield from (prefix for prefix, count in counts.items() if count * 2 > len(contents.tensors))


def _shown(contents: Contents, project: str, shapes: dict[str, tuple[int, ...]]) -> str:
    """What tells the project; empty where another one may have the same names."""
    if project != "torchreid":
        return "its names of tensors"
    if {"state_dict", "rank1"} <= contents.keys:
        return "entries state_dict and rank1"
    plain = not any(name.startswith(("fc.0.", "conv2.0.", "inception", "feature.0")) for name in shapes)
    return "" if plain and "parts" not in shapes else "its names of tensors"


def _convention(project: str, kind: str, names: tuple[str, ...]) -> Convention:
    if project == "reid-strong-baseline" and "global_pool.p" in names:
        return CONVENTIONS["AGW"]
    if project == "CLIP-ReID" and any(name.startswith("image_encoder.layer4.") for name in names):
        return CONVENTIONS["CLIP-ReID RN50"]
    return CONVENTIONS[_KINDS.get((project, kind), project)]


def _kind(network: torch.nn.Module) -> str:
    """The trunk in words: `resnet50-ibn-a, se`."""
    for part in network.modules():
        options = getattr(part, "options", None)
        if options is None:
            continue
        if hasattr(options, "ibn"):
            return _residual(options)
        values = vars(options)
        return f"{type(part).__name__} {', '.join(f'{name} {value}' for name, value in values.items())}"
    return type(network).__name__


def _residual(options: object) -> str:
    layers, values = tuple(vars(options)["layers"]), vars(options)
    depths = {(2, 2, 2, 2): "18", (3, 4, 23, 3): "101", (3, 8, 36, 3): "152"}
    depths |= {(3, 4, 6, 3): "50" if values["bottleneck"] else "34"}
    kind = "resnext" if values["groups"] > 1 else "resnet"
    text = f"{kind}{depths.get(layers, '-' + '-'.join(map(str, layers)))}"
    text += f"_{values['groups']}x{values['group_width']}d" if values["groups"] > 1 else ""
    text += f"-ibn-{values['ibn']}" if values["ibn"] else ""
    text += ", squeeze-and-excitation" if values["squeeze"] else ""
    return text + (f", {sum(values['non_local'])} non-local blocks" if any(values["non_local"]) else "")


def _last_stride(network: torch.nn.Module) -> int | None:
    strides = [own_last_stride(part) for part in network.modules() if hasattr(part, "layer4")]
    return strides[0] if strides else None
