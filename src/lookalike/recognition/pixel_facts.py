"""How the project that wrote a checkpoint reads its images: given, saved, or as it does."""

from collections.abc import Mapping
from typing import Any

from lookalike.recognition.backbones import Match
from lookalike.recognition.catalogue import unfilled
from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import Convention
from lookalike.recognition.facts import Fact

_NAMES = ("height", "width", "resize", "interpolation", "antialias", "mean", "std", "channels", "flip")


def pixel_facts(
    contents: Contents,
    convention: Convention,
    match: Match,
    pixels: Mapping[str, Any],
    model: Mapping[str, Any],
) -> dict[str, Fact]:
    """Facts about the pixels.

    Args:
        contents: Of the checkpoint.
        convention: The project's.
        match: The network.
        pixels: Given settings, None where nothing is said.
        model: Given mean and std.
    """
    facts = {}
    saved = _saved(contents, convention)
    defaults = vars(unfilled(match.architecture))["pretrained_cfg"]
    timms = {
        "height": defaults["input_size"][1],
        "width": defaults["input_size"][2],
        "mean": list(defaults["mean"]),
        "std": list(defaults["std"]),
        "interpolation": defaults["interpolation"]
        if defaults["interpolation"] in ("bilinear", "bicubic")
        else "bicubic",
    }
    for name in _NAMES:
        given = model.get(name) if name in ("mean", "std") else pixels.get(name)
        if given is not None:
            facts[name] = Fact(given, "given", f"{'model' if name in ('mean', 'std') else 'pixels'}.{name}")
        elif name in saved:
            facts[name] = saved[name]
        elif name in convention.facts:
            value, source = convention.facts[name]
            facts[name] = Fact(value, "convention", f"{source} of {convention.project} {convention.version}".strip())
        elif name in timms:
            facts[name] = Fact(timms[name], "convention", f"timm's pretrained_cfg of {match.architecture}")
    return facts


def _saved(contents: Contents, convention: Convention) -> dict[str, Fact]:
    """What the project's own settings say."""
    facts = {}
    for name, settings in convention.settings.items():
        found = contents.setting(*settings)
        if not found:
            continue
        value, where = found
        if name == "size" and isinstance(value, list | tuple) and len(value) == 2:
            facts["height"], facts["width"] = (Fact(int(side), "saved settings", where) for side in value)
        elif name in ("mean", "std") and isinstance(value, list | tuple) and len(value) == 3:
            scale = 255.0 if max(map(float, value)) > 1 else 1.0
            facts[name] = Fact([round(float(part) / scale, 6) for part in value], "saved settings", where)
        elif name in _NAMES and not isinstance(value, list | tuple):
            facts[name] = Fact(value, "saved settings", where)
    return facts
