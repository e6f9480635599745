"""fast-reid 1.4.0: what the config.yaml that it writes into its output folder says of a network and its images.

A setting that speaks against the tensors is that of another network, and is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lookalike.errors import ModelError, did_you_mean, one_line
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact, Pooling

_POWER = "heads.pool_layer.p"
POOLS: dict[str, Pooling] = {  # layers/pooling.py of 1.4.0; the names in lower case are those of 1.0
    **dict.fromkeys(("GlobalAvgPool", "FastGlobalAvgPool", "avgpool", "fastavgpool"), "avg"),
    **dict.fromkeys(("GlobalMaxPool", "maxpool"), "max"),
    **dict.fromkeys(("GeneralizedMeanPooling", "GeneralizedMeanPoolingP", "gempool", "gempoolP"), "gem"),
    **dict.fromkeys(("AdaptiveAvgMaxPool", "avgmaxpool"), "avg+max"),
    **dict.fromkeys(("ClipGlobalAvgPool", "clipavgpool"), "clipped avg"),
    **dict.fromkeys(("Identity", "Flatten", "identity", "flatten"), "own"),
}
_LEARNED = ("GeneralizedMeanPoolingP", "gempoolP")
_MIDDLE = {"18": 2, "34": 6, "50": 6, "101": 23, "152": 36}  # blocks of layer3, modeling/backbones/resnet.py
_FLIP = "mean, normalised twice"
_WAY_OUT = "put the config.yaml of its own training beside it, or take this one away"


@dataclass(frozen=True)
class Configured:
    """What a config.yaml says.

    Attributes:
        network: `pooling`, and `gem_power` where it is no tensor.
        pixels: Size, resize and shorter side where its images are cut, and what is made of mirrored ones.
        remarks: What else a person should know.
    """

    network: dict[str, Fact] = field(default_factory=dict)
    pixels: dict[str, Fact] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def configured(contents: Contents, shapes: Mapping[str, tuple[int, ...]], pixels: Mapping[str, Any]) -> Configured:
    """Reads the settings of fast-reid in or beside a checkpoint of it.

    Args:
        contents: Of the checkpoint.
        shapes: Of its network, by fast-reid's names.
        pixels: Given settings, None where nothing is said.

    Raises:
        ModelError: They are of another network, or of a way to read images that there is not here.
    """
    _need_its_own(contents, shapes)
    read_as = {**_cut(contents, pixels), **_mirrored(contents), **_buffers(contents)}
    said = Configured(_pooling(contents, shapes), read_as, [])
    said.remarks.extend(_remarks(contents, shapes))
    return said


def _buffers(contents: Contents) -> dict[str, Fact]:
    """Mean and standard deviation of 0..255 that a file kept as buffers of its network: what it scales by.

    Raises:
        ModelError: They are none.
    """
    facts = {}
    for name, least in (("mean", 0.0), ("std", 1e-6)):
        for key in (key for key in contents.tensors if key.rpartition(".")[2] == f"pixel_{name}"):
            values = contents.tensors[key].flatten().tolist()
            if len(values) != 3 or not all(least <= value <= 255 for value in values):
                raise ModelError(
                    f"{contents.file}: {key} is {one_line(values, 60)}, expected three numbers of 0 to 255: give a "
                    "file that is whole"
                )
            facts[name] = Fact([round(value / 255, 9) for value in values], "saved settings", f"{key} in the file")
    return facts


def _need_its_own(contents: Contents, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses settings that the tensors speak against."""
    reduced = shapes.get("heads.bottleneck.0.weight", ())
    size = reduced[0] if len(reduced) == 4 else 0
    facts: dict[str, tuple[object, str]] = {
        "model.heads.with_bnneck": (
            any(name.startswith("heads.") and name.endswith("running_mean") for name in shapes),
            "a batch norm in its head",
        ),
        "model.heads.embedding_dim": (size, f"a reduction to {size}" if size else "a reduction in its head"),
    }
    if middle := len({name.split(".")[2] for name in shapes if name.startswith("backbone.layer3.")}):
        facts["model.backbone.with_ibn"] = (any(".IN." in name for name in shapes), "instance norms (IBN)")
        facts["model.backbone.with_se"] = (any(".se." in name for name in shapes), "squeeze-and-excitation")
        if "backbone.layer1.0.conv3.weight" in shapes:  # smaller ones have no place for non-local blocks
            facts["model.backbone.with_nl"] = (any("NL_" in name for name in shapes), "non-local blocks")
    for name, (there, what) in facts.items():
        if (saved := contents.setting(name)) and isinstance(saved[0], bool | int) and saved[0] != there:
            has = "has" if there else "has no"
            raise ModelError(
                f"{contents.file}: {saved[1]} is {saved[0]}, but the file {has} {what.removeprefix('a ')}: these are "
                f"the settings of another network: {_WAY_OUT}"
            )
    depth = contents.setting("model.backbone.depth")
    wanted = _MIDDLE.get(str(depth[0]).removesuffix("x")) if depth and middle else None
    if depth and wanted and wanted != middle:
        raise ModelError(
            f"{contents.file}: {depth[1]} is {depth[0]}, whose layer3 has {wanted} blocks, but the file has {middle}: "
            f"these are the settings of another network: {_WAY_OUT}"
        )


def _pooling(contents: Contents, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Fact]:
    saved = contents.setting("model.heads.pool_layer")
    if saved is None:
        return {}
    name, where = one_line(saved[0], 60), saved[1]
    if name not in POOLS:
        raise ModelError(
            f"{contents.file}: {where} is {name}, expected a pooling of fast-reid 1.4.0"
            f"{did_you_mean(name, list(POOLS))}: give model.pooling, and take the config.yaml away"
        )
    if (name in _LEARNED) != (_POWER in shapes):
        has = "has" if _POWER in shapes else "lacks"
        raise ModelError(
            f"{contents.file}: {where} is {name}, but the file {has} {_POWER}, the power of GeneralizedMeanPoolingP: "
            f"these are the settings of another network: {_WAY_OUT}"
        )
    pooling = POOLS[name]
    if pooling == "own" and "backbone.pos_embed" not in shapes:
        raise ModelError(
            f"{contents.file}: {where} is {name}, which pools nothing: expected so of a transformer alone: {_WAY_OUT}"
        )
    if pooling == "own":
        return {}
    power = {"gem_power": Fact(3.0, "saved settings", f"{where}: norm=3")} if pooling == "gem" else {}
    return {"pooling": Fact(pooling, "saved settings", where), **({} if name in _LEARNED else power)}


def _cut(contents: Contents, pixels: Mapping[str, Any]) -> dict[str, Fact]:
    """Of CenterCrop behind Resize (data/transforms/build.py); nothing where images are stretched alone."""
    size, cut = contents.setting("input.size_test"), contents.setting("input.crop.enabled")
    sides = list(size[0]) if size and isinstance(size[0], list | tuple) else []
    whole = bool(cut and cut[0] is True)
    if not size or (pixels.get("height") and pixels.get("width") and pixels.get("resize")):
        return {}
    if len(sides) == 2 and not whole and all(isinstance(side, int) and side > 0 for side in sides):
        return {}
    wanted = contents.setting("input.crop.size")
    kept = list(wanted[0]) if whole and wanted and isinstance(wanted[0], list | tuple) else []
    kept = kept * 2 if len(kept) == 1 else kept
    plain = all(isinstance(side, int) and not isinstance(side, bool) and 8 <= side <= 4096 for side in (*sides, *kept))
    if plain and len(sides) == 1 and len(kept) == 2 and sides[0] >= max(kept):
        assert wanted is not None
        return {
            "height": Fact(kept[0], "saved settings", wanted[1]),
            "width": Fact(kept[1], "saved settings", wanted[1]),
            "resize": Fact("crop", "saved settings", "input.crop.enabled"),
            "shorter_side": Fact(sides[0], "saved settings", size[1]),
        }
    if plain and len(sides) == len(kept) == 2 and sides == kept:
        return {}
    then = f", of which {kept} are cut out" if whole else ""
    raise ModelError(
        f"{contents.file}: {size[1]} is {one_line(size[0], 40)}{then}: images are not read so here: give "
        "pixels.height, pixels.width and pixels.resize for the nearest way"
    )


def _mirrored(contents: Contents) -> dict[str, Fact]:
    saved = contents.setting("test.flip.enabled", "test.flip_enabled")
    return {"flip": Fact(_FLIP, "saved settings", saved[1])} if saved and saved[0] is True else {}


def _remarks(contents: Contents, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    lines = []
    if _mirrored(contents):
        lines.append(
            "the mirrored image is normalised twice, as in fast-reid: preprocess_image works in place on what was "
            "normalised already"
        )
    neck = contents.setting("model.heads.neck_feat")
    if neck and neck[0] == "before" and any(re.match(r"heads\..*running_mean", name) for name in shapes):
        lines.append(f"{neck[1]} is before: so for its losses; its test takes what is behind the batch norm")
    head = contents.setting("model.heads.name")
    if head and head[0] != "EmbeddingHead":
        lines.append(f"{head[1]} is {one_line(head[0], 60)}: taken is what fast-reid's EmbeddingHead gives")
    metric = contents.setting("test.metric")
    if metric and metric[0] != "cosine":
        lines.append(f"{metric[1]} is {one_line(metric[0], 60)}: its figures are of that distance, not of cosines")
    for name, what in (("rerank", "re-ranking"), ("aqe", "query expansion")):
        saved = contents.setting(f"test.{name}.enabled")
        if saved and saved[0] is True:
            lines.append(f"{saved[1]} is true: its figures are behind {what}, which no embedding shows")
    return lines
