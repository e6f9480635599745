"""Networks of person re-identification that their authors' names and shapes show, whole: see `models.networks`."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lookalike.errors import ModelError
from lookalike.models.networks.assembled import assembled
from lookalike.models.networks.conventions.convention import Convention
from lookalike.recognition.contents import Contents
from lookalike.recognition.surgery import own_last_stride, tail_pool

# Names behind the embedding, by the first word of the project: what else is there would make another network of it.
_BASELINE = r"classifier\w*\.\w+|bottleneck\w*\.\w+|base\.(fc|head)\.\w+"
_LEFT_OUT = {
    "fast-reid": r"heads\.(weight|classifier(\.\w+)?|cls_layer\.\w+)|pixel_(mean|std)|loss\w*\..*",
    "reid-strong-baseline": _BASELINE,
    "AGW": _BASELINE,
    "layumi": r"classifier\d*\.(classifier|add_block)\..*|model\.(_?fc|classifier|head)\.\w+",
    "torchreid": r"classifier(\.\d+)?\.\w+|classifier_\w+\.\w+|conv5\.layers\..*",
    "TransReID": rf"{_BASELINE}|b[12]\..*",
    "IBN-Net": r"fc\.\w+",
    "CLIP-ReID": rf"{_BASELINE}|text_encoder\..*|prompt_learner\..*",
}
_SIZES = ((256, 128), (384, 128), (256, 256), (384, 384))  # that these projects' configurations have
_Names = dict[str, tuple[str, ...]]
_SETTINGS: dict[str, _Names] = {
    "fast-reid": {
        "last_stride": ("model.backbone.last_stride",),
        "size": ("input.size_test",),
        "mean": ("model.pixel_mean",),
        "std": ("model.pixel_std",),
    },
    "layumi": {"last_stride": ("stride",), "height": ("h",), "width": ("w",)},
    "layumi PCB": {},  # its test has one size, whatever was saved
    "layumi Swin": {},
}
_OF_BASELINES: _Names = {  # reid-strong-baseline and its children have one form of settings
    "last_stride": ("model.last_stride",),
    "size": ("input.size_test",),
    "mean": ("input.pixel_mean",),
    "std": ("input.pixel_std",),
    "taken": ("test.neck_feat",),
}


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
        takes: Settings of the model that it can be given: `last_stride` of a ResNet, `bn_neck` where both sides of its
            batch norm are tested, `pooling` of fast-reid's heads whose pooling has no tensor.
        settings: Name of a fact -> names of the project's settings that say otherwise.
        shown_by: What in the file tells the project.
        has_common_names: Whether others give a network of their own the same names, and no saved setting tells it.
    """

    project: str
    convention: Convention
    wrapper: str
    names: tuple[str, ...]
    left_out: list[str]
    unexplained: list[str]
    kind: str
    last_stride: int | None
    takes: tuple[str, ...]
    settings: _Names
    shown_by: str
    has_common_names: bool = False

    def shapes_in(self, contents: Contents, names: list[str] | None = None) -> dict[str, tuple[int, ...]]:
        """Name without the wrapper -> shape.

        Args:
            contents: Of the checkpoint.
            names: In the file; None for those of the network.
        """
        inner = self.names if names is None else [name.removeprefix(self.wrapper) for name in names]
        return {name: tuple(contents.tensors[f"{self.wrapper}{name}"].shape) for name in inner}


def known_authors() -> list[str]:
    """Names of the projects whose networks are known."""
    return list(_LEFT_OUT)


def size_of(contents: Contents, pixels: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the images, given or saved, and 256 x 128 where nothing is said, as transformers here have.

    Args:
        contents: Of the checkpoint.
        pixels: Given settings.
    """
    saved = contents.setting("input.size_test")
    usual: list[Any] = list(saved[0]) if saved and isinstance(saved[0], list | tuple) else []
    if len(usual) != 2 or not all(isinstance(side, int) and side > 0 for side in usual):
        usual = list(_SIZES[0])
    height, width = pixels.get("height") or usual[0], pixels.get("width") or usual[1]
    return height, width


def _refuse_size(contents: Contents, shapes: dict[str, tuple[int, ...]], size: tuple[int, int]) -> None:
    """Says of a transformer of known authors that it is for images of another size.

    Raises:
        ModelError: It is one.
    """
    if not any(name.endswith(("pos_embed", "positional_embedding")) for name in shapes):
        return
    for height, width in _SIZES:
        with torch.device("meta"):
            there = assembled(shapes, (height, width))
        if there is not None:
            raise ModelError(
                f"{contents.file}: recognised a transformer of {there.convention.project}, whose position embeddings "
                f"fit images of {size[0]} x {size[1]} pixels at no stride between patches: give pixels.height and "
                f"pixels.width as in its training, such as pixels.height={height} pixels.width={width}"
            )


def find_authors(contents: Contents, size: tuple[int, int] = (256, 128)) -> Authors | None:
    """The network of a project whose names and shapes are in a file, None where there is none.

    Args:
        contents: Of the checkpoint.
        size: Height and width of the images.

    Raises:
        ModelError: It is a transformer for images of another size.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in contents.tensors.items()}
    for start in _starts(list(shapes)):
        with torch.device("meta"):
            there = assembled({name: shape for name, shape in shapes.items() if name.startswith(start)}, size)
        if there is None:
            continue
        wrapper, project = there.prefix, there.convention.project.partition(" ")[0]
        shown = _shown(contents, project, [name.removeprefix(wrapper) for name in shapes if name.startswith(wrapper)])
        if not shown:
            continue
        names = tuple(name for name in there.network.state_dict() if f"{wrapper}{name}" in shapes)
        used = {f"{wrapper}{name}" for name in names}
        behind = {name for name in shapes if re.fullmatch(_LEFT_OUT[project], name.removeprefix(wrapper))} - used
        stride, both = _last_stride(there.network), getattr(there.network, "taken", "") in ("before", "after")
        pools = project == "fast-reid" and "heads.pool_layer.p" not in names
        takes = tuple(
            name
            for name, taken in (("last_stride", stride is not None), ("bn_neck", both), ("pooling", pools))
            if taken
        )
        return Authors(
            project,
            there.convention,
            wrapper,
            names,
            [name for name in shapes if name in behind],
            [name for name in shapes if name not in behind | used],
            _kind(there.network),
            stride,
            takes,
            _SETTINGS.get(there.convention.project, _SETTINGS.get(project, _OF_BASELINES)),
            shown,
            _has_common_names(contents, project, _kind(there.network)),
        )
    for start in _starts(list(shapes)):
        _refuse_size(contents, {name: shape for name, shape in shapes.items() if name.startswith(start)}, size)
    return None


def _starts(names: list[str]) -> list[str]:
    """Nothing, and what stands before most names: `net.` of a Lightning module with a loss beside it."""
    counts = Counter(name.partition(".")[0] + "." for name in names if "." in name)
    return ["", *(start for start, count in counts.most_common(1) if len(names) // 2 < count < len(names))]


def _shown(contents: Contents, project: str, names: list[str]) -> str:
    """What tells the project; empty where another one may have the same names."""
    if project != "torchreid":
        return "its names of tensors"
    if {"state_dict", "rank1"} <= contents.keys:
        return "entries state_dict and rank1"
    own = any(re.match(r"fc\.0\.|conv2\.0\.|inception|feature\.0|classifier\.\d+\.|conv5\.", name) for name in names)
    return "its names of tensors" if own else ""


def _has_common_names(contents: Contents, project: str, kind: str) -> bool:
    """Whether a plain ResNet is under `base` with a batch norm `bottleneck`, and no setting of the project beside."""
    plain = project == "reid-strong-baseline" and "ibn" not in kind and "squeeze" not in kind
    return plain and contents.setting("model.last_stride", "test.neck_feat") is None


def _kind(network: torch.nn.Module) -> str:
    """The trunk in words: `resnet50-ibn-a, se`."""
    if name := str(getattr(network, "architecture", "")):
        return name
    for part in network.modules():
        options = getattr(part, "options", None)
        if options is None:
            continue
        if hasattr(options, "ibn"):
            return _residual(options)
        values = vars(options)
        if "channels" in values:
            share = values["channels"][0] / 64
            kind = "" if values["kind"] == "plain" else f"_{values['kind']}"
            return f"osnet{kind}_x{str(share).replace('.', '_')}"
        return f"{_spaced(type(part).__name__)}, {values['width']} wide"
    return _spaced(type(network).__name__)


def _spaced(name: str) -> str:
    """`vision transformer` of `VisionTransformer`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


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
    if pool := tail_pool(network):
        return pool.stride if isinstance(pool.stride, int) else pool.stride[0]
    trunks = [part for part in network.modules() if hasattr(part, "layer4")]
    # CLIP's attention has a position for each place of the last features, so that its stride is settled.
    strides = [own_last_stride(part) for part in trunks if not hasattr(part, "attnpool")]
    return strides[0] if strides else None
