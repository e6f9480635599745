"""How the project that wrote a checkpoint scales its images, where the file shows which one that is.

No checkpoint says it itself, but projects do it in one way each. Facts, from their sources:

    torchreid                  torchvision's Resize of a picture, bilinear (data/transforms.py)
    fast-reid                  the same with interpolation=3, bicubic (data/transforms/build.py)
    open-metric-learning       Albumentations' LongestMaxSize, OpenCV's bilinear (transforms/images/albumentations.py)
    pytorch-metric-learning    torchvision's Resize of a picture, bilinear (its examples)
    timm                       what the `interpolation` of the network's pretrained_cfg says (data/config.py)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.data.pixels import Interpolation, PixelSettings
from lookalike.models.checkpoint_tensors import opened

_OF_TIMM = {"bilinear", "bicubic", "lanczos"}
_TRUNK = re.compile(r"trunk_(best)?\d+\.pth")  # as pytorch-metric-learning's hooks call it


@dataclass(frozen=True)
class Convention:
    """How a project scales images.

    Attributes:
        project: Its name.
        interpolation: As in `PixelSettings`.
        antialias: Same.
        shown_by: What in the file tells the project.
    """

    project: str
    interpolation: Interpolation
    antialias: bool
    shown_by: str

    def __str__(self) -> str:
        way = "" if self.antialias else ", not antialiased"
        return (
            f"images are scaled as {self.project} does ({self.interpolation}{way}), which wrote the file by its "
            f"{self.shown_by}: give pixels.interpolation if it was trained otherwise"
        )


def convention_of(file: Path, pretrained_cfg: Mapping[str, Any]) -> Convention | None:
    """The convention of the project that wrote a file, None where it shows no project that is known.

    Args:
        file: A checkpoint whose tensors could be read.
        pretrained_cfg: timm's, of the network in it.
    """
    if _TRUNK.fullmatch(file.name):
        return Convention("pytorch-metric-learning", "bilinear", True, f"name {file.name}, in its examples")
    with opened(file) as (content, _):
        entries = _dict(content)
    names = [str(name).removeprefix("module.") for name in (*entries, *_dict(entries.get("model")))]
    if any(name.startswith("heads.") for name in names) and any(name.startswith("backbone.") for name in names):
        return Convention("fast-reid", "bicubic", True, "names backbone.* and heads.*")
    if {"state_dict", "rank1"} <= entries.keys():
        return Convention("torchreid", "bilinear", True, "entry rank1")
    if any("'OVERALL/" in str(name) for name in _dict(entries.get("callbacks"))):
        return Convention("open-metric-learning", "bilinear", False, "checkpoint callback on OVERALL/...")
    if {"state_dict", "arch", "version"} <= entries.keys():
        kernel = pretrained_cfg.get("interpolation")
        if kernel in _OF_TIMM:
            return Convention("timm", kernel, True, "entries arch and version")
    return None


def _dict(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def scaled_as(file: Path, pixels: Mapping[str, Any], pretrained_cfg: Mapping[str, Any]) -> tuple[PixelSettings, str]:
    """How images are read for a checkpoint of another project, and what there is to say about it.

    Args:
        file: The checkpoint.
        pixels: What was asked for, by name; what is None of interpolation and antialias is the project's.
        pretrained_cfg: timm's, of the network in it.
    """
    if pixels.get("interpolation") is not None:
        return PixelSettings.of(pixels), ""
    convention = convention_of(file, pretrained_cfg)
    if convention is None:
        return PixelSettings.of(pixels), (
            "images are shrunk by area averaging, as the file does not show which project wrote it: most projects "
            "train with pixels.interpolation=bilinear (of Pillow or torchvision), some with bicubic, those with "
            "Albumentations with pixels.antialias=false, too"
        )
    given = {name: value for name, value in pixels.items() if value is not None}
    taken = PixelSettings(**{"interpolation": convention.interpolation, "antialias": convention.antialias, **given})
    other = "" if taken.antialias == convention.antialias else "; pixels.antialias is taken as given"
    return taken, f"{convention}{other}"
