"""How the project that wrote a checkpoint reads its images: given, saved, or as it does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lookalike.data.pixels import PixelSettings
from lookalike.errors import CheckpointError, one_line
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import PIXEL_FACTS, Fact, Value

_KERNELS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers, as transformers saves them
_OF_BYTES = {"model.pixel_mean", "model.pixel_std"}  # fast-reid's, always of 0..255 (fastreid/config/defaults.py)
_MODES = {"shortest": "crop", "squash": "stretch", "longest": "pad"}  # of open_clip's transform.py
_SIDES = ("height", "width")
_SMALLEST, _LARGEST = 8, 4096  # pixels, as in the settings


def pixel_facts(
    contents: Contents,
    settings: Mapping[str, tuple[str, ...]],
    usual: Mapping[str, Fact],
    pixels: Mapping[str, Any],
    model: Mapping[str, Any],
    more: Mapping[str, Fact] | None = None,
) -> dict[str, Fact]:
    """Facts about the pixels.

    Args:
        contents: Of the checkpoint.
        settings: Name of a fact -> names of the project's settings.
        usual: Name of a fact -> as the project has it, or as it is assumed.
        pixels: Given settings, None where nothing is said.
        model: Given mean and std.
        more: Saved ones that a project says in its own way.
    """
    facts = {}
    saved = {**_saved(contents, settings), **(more or {})}
    for name in PIXEL_FACTS:
        group = "model" if name in ("mean", "std") else "pixels"
        given = (model if group == "model" else pixels).get(name)
        if given is not None:
            facts[name] = Fact(given, "given", f"{group}.{name}")
        elif name in saved:
            facts[name] = saved[name]
        elif name in usual:
            facts[name] = usual[name]
    antialias = facts.get("antialias")
    if facts["interpolation"].value == "area" and antialias is not None and antialias.source != "given":
        facts["antialias"] = Fact(True, facts["interpolation"].source, "area averages all that a new pixel covers")
    return _with_its_margin(facts, saved, usual)


def pixels_of(facts: Mapping[str, Fact]) -> PixelSettings:
    """How images are read.

    Args:
        facts: Of a checkpoint.

    Raises:
        CheckpointError: They do not go together.
    """
    names = ("height", "width", "resize", "interpolation", "antialias", "shorter_side", "border")
    try:
        return PixelSettings.of({name: facts[name].value for name in names if name in facts})
    except ValueError as error:
        raise CheckpointError(f"pixels.{error}") from error


def _with_its_margin(facts: dict[str, Fact], saved: Mapping[str, Fact], usual: Mapping[str, Fact]) -> dict[str, Fact]:
    """The shorter side before the centre is cut out: in proportion where another size was given, none where none is."""
    side = facts.get("shorter_side")
    of_file = side is not None and side.source == "saved settings" and "height" in saved
    own = saved["height"].value if of_file else usual["height"].value if "height" in usual else 0
    if side is None or side.source == "given":
        return facts
    resize = facts.get("resize")
    cut = resize is not None and (
        resize.value == "crop" or (resize.value == "stretch" and resize.evidence == side.evidence)  # of one setting
    )
    if not cut or facts["interpolation"].value == "area":
        return {name: fact for name, fact in facts.items() if name != "shorter_side"}
    height = facts["height"]
    if height.source != side.source and isinstance(own, int) and isinstance(side.value, int) and own:
        assert isinstance(height.value, int)
        longest = max(height.value, int(str(facts["width"].value)))  # a centre is never cut out of less
        scaled = max(int(side.value * height.value / own), longest)
        facts["shorter_side"] = Fact(scaled, side.source, f"{side.evidence}, in proportion")
    return facts


def timms(architecture: str, config: Mapping[str, Any], cropped: bool = False) -> dict[str, tuple[Value, str]]:
    """What timm says of the pixels of an architecture.

    Args:
        architecture: Its name.
        config: Its `pretrained_cfg`.
        cropped: Also how the centre of an image is cut out.
    """
    kernel = config["interpolation"] if config["interpolation"] in ("bilinear", "bicubic") else "bicubic"
    height, share = config["input_size"][1], config.get("crop_pct") or 1.0
    resize = {"squash": "stretch", "border": "pad"}.get(config.get("crop_mode", "center"), "crop")
    values: dict[str, Value] = {
        **({"resize": resize, "shorter_side": int(height / share)} if cropped else {}),
        **dict(zip(_SIDES, config["input_size"][1:], strict=True)),
        **{"interpolation": kernel, "mean": list(config["mean"]), "std": list(config["std"])},
    }
    return {name: (value, f"timm's pretrained_cfg of {architecture}") for name, value in values.items()}


def _saved(contents: Contents, settings: Mapping[str, tuple[str, ...]]) -> dict[str, Fact]:
    """What the project's own settings say."""
    facts: dict[str, Fact] = {}
    scales: dict[str, list[float]] = {}
    for name, names in settings.items():
        stored = contents.setting(*names)
        if not stored:
            continue
        value, where = stored
        if name.startswith("usual_"):
            name = name.removeprefix("usual_")
            if not _is_usual(name, value):
                continue
        if name in ("size", "input_size") and type(value) is int:
            value = [value, value]
        if name in ("size", "input_size") and isinstance(value, list | tuple) and len(value) in (2, 3):
            for side, pixels in zip(_SIDES, value[-2:], strict=True):
                facts[side] = Fact(_side(contents, pixels, where), "saved settings", where)
        elif name in ("mean", "std"):
            scales[name] = _scale(contents, name, value, where)
            facts[name] = Fact(scales[name], "saved settings", where)
        elif name in (*_SIDES, "shorter_side"):
            facts[name] = Fact(_side(contents, value, where), "saved settings", where)
        elif name == "crop_pct" and isinstance(value, float | int) and 0.1 < value <= 1 and "height" in facts:
            height = int(str(facts["height"].value))
            if "do_center_crop" in settings:  # transformers' ConvNeXt, which stretches from 384 pixels on
                facts["resize"] = Fact("crop" if height < 384 else "stretch", "saved settings", where)
            if "do_center_crop" not in settings or height < 384:
                facts["shorter_side"] = Fact(int(height / value), "saved settings", where)
        elif name == "resample" and value in _KERNELS:
            facts["interpolation"] = Fact(_KERNELS[value], "saved settings", where)
        elif name == "do_center_crop" and isinstance(value, bool):
            facts["resize"] = Fact("crop" if value else "stretch", "saved settings", where)
        elif name == "resize_mode" and value in _MODES:
            facts["resize"] = Fact(_MODES[str(value)], "saved settings", where)
        elif name == "interpolation" and value in _KERNELS.values():
            facts[name] = Fact(str(value), "saved settings", where)
    of_bytes = any(_OF_BYTES & set(settings.get(name, ())) for name in scales)
    if of_bytes or any(max(parts) > 1 for parts in scales.values()):  # one unit for both: std 1 goes with mean 123.7
        for name, parts in scales.items():
            facts[name] = replace(facts[name], value=[round(part / 255, 9) for part in parts])
    return facts


def _is_usual(name: str, value: object) -> bool:
    """Whether a setting of an unknown project is what its name says: others may mean something else by it."""
    parts = value if isinstance(value, list | tuple) else [value]
    if name == "size":
        return len(parts) <= 3 and all(type(part) is int and _SMALLEST <= part <= _LARGEST for part in parts[-2:])
    numbers = [part for part in parts if isinstance(part, int | float) and not isinstance(part, bool)]
    return (
        len(parts) == len(numbers) == 3
        and all(0 <= part <= 255 for part in numbers)
        and (name != "std" or all(numbers))
    )


def _side(contents: Contents, value: object, where: str) -> int:
    """A saved size in pixels.

    Raises:
        CheckpointError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not _SMALLEST <= value <= _LARGEST:
        raise CheckpointError(
            f"{contents.file}: {where} is {one_line(value, 40)}, expected {_SMALLEST} to {_LARGEST} pixels: give "
            "pixels.height and pixels.width"
        )
    return value


def _scale(contents: Contents, name: str, value: object, where: str) -> list[float]:
    """A saved mean or standard deviation of the channels, as it stands there.

    Raises:
        CheckpointError: It is none.
    """
    parts = list(value) if isinstance(value, list | tuple) else []
    parts = parts * 3 if len(parts) == 1 else parts  # of all channels, as timm has it
    plain = len(parts) == 3 and all(isinstance(part, int | float) and 0 <= part <= 255 for part in parts)
    if not plain or (name == "std" and 0 in parts):
        raise CheckpointError(
            f"{contents.file}: {where} is {one_line(value, 40)}, expected three numbers: give model.{name}"
        )
    return [float(part) for part in parts]
