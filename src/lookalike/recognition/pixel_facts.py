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
_CHOICES: dict[str, tuple[str, dict[Any, str]]] = {  # name of a setting -> the fact that it says, and how
    "resample": ("interpolation", _KERNELS),
    "interpolation": ("interpolation", {kernel: kernel for kernel in _KERNELS.values()}),
    "resize_mode": ("resize", _MODES),
}
_SIDES = ("height", "width")
# What a person may give instead of a setting that is not known here, where it has another name.
_ANSWERED_BY = {
    **dict.fromkeys(("size", "input_size", "shorter_side"), _SIDES),
    **{name: (fact,) for name, (fact, _) in _CHOICES.items()},
}
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
    said = {name for part in (model, pixels) for name, value in part.items() if value is not None}
    saved = {**_saved(contents, settings, said), **(more or {})}
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


def _saved(contents: Contents, settings: Mapping[str, tuple[str, ...]], said: set[str]) -> dict[str, Fact]:
    """What the project's own settings say.

    Raises:
        CheckpointError: What one says is not known here, and is not among the settings that a person `said`.
    """
    facts: dict[str, Fact] = {}
    for name, names in settings.items():
        stored = contents.setting(*names)
        if not stored:
            continue
        if name.startswith("usual_"):
            name = name.removeprefix("usual_")
            if not _is_usual(name, stored[0]):
                continue
        try:
            facts |= _of_setting(contents, name, *stored, facts, "do_center_crop" in settings)
        except CheckpointError:
            if not said.issuperset(_ANSWERED_BY.get(name, (name,))):
                raise
    scales = {name: facts[name] for name in ("mean", "std") if name in facts}
    of_bytes = any(_OF_BYTES & set(settings.get(name, ())) for name in scales)
    if of_bytes or any(max(_numbers(fact)) > 1 for fact in scales.values()):  # one unit: std 1 goes with mean 123.7
        facts |= {
            name: replace(fact, value=[round(part / 255, 9) for part in _numbers(fact)])
            for name, fact in scales.items()
        }
    return facts


def _of_setting(
    contents: Contents, name: str, value: Any, where: str, others: Mapping[str, Fact], of_transformers: bool
) -> dict[str, Fact]:
    """What one setting of a project says, beside the `others` that were read before it.

    Raises:
        CheckpointError: It is not known here.
    """
    facts: dict[str, Value] = {}
    if name in ("size", "input_size") and type(value) is int:
        value = [value, value]
    if name in ("size", "input_size") and isinstance(value, list | tuple) and len(value) in (2, 3):
        facts = {side: _side(contents, part, where) for side, part in zip(_SIDES, value[-2:], strict=True)}
    elif name in ("mean", "std"):
        facts = {name: _scale(contents, name, value, where)}
    elif name in (*_SIDES, "shorter_side"):
        facts = {name: _side(contents, value, where)}
    elif name == "crop_pct" and isinstance(value, float | int) and 0.1 < value <= 1 and "height" in others:
        height = int(str(others["height"].value))
        if of_transformers:  # its ConvNeXt, which stretches from 384 pixels on
            facts["resize"] = "crop" if height < 384 else "stretch"
        if not of_transformers or height < 384:
            facts["shorter_side"] = int(height / value)
    elif name == "do_center_crop" and isinstance(value, bool):
        facts = {"resize": "crop" if value else "stretch"}
    elif name in _CHOICES and value not in ("", "random"):  # not said, and of training alone
        fact, choices = _CHOICES[name]
        if type(value) not in (int, str) or value not in choices:
            raise CheckpointError(
                f"{contents.file}: {where} is {one_line(value, 40)}, expected one of "
                f"{', '.join(map(str, choices))}: give pixels.{fact}"
            )
        facts = {fact: choices[value]}
    return {fact: Fact(stated, "saved settings", where) for fact, stated in facts.items()}


def _numbers(fact: Fact) -> list[float]:
    return fact.value if isinstance(fact.value, list) else []


def _is_usual(name: str, value: object) -> bool:
    """Whether a setting of an unknown project is what its name says: others may mean something else by it."""
    parts = value if isinstance(value, list | tuple) else [value]
    if name == "interpolation":
        return value in _KERNELS.values()
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
