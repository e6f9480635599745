"""What a search may draw, checked, and the settings of training that a draw makes."""

import hashlib
import json
from functools import cache
from typing import Any

from lookalike.console import say
from lookalike.errors import LookalikeError, did_you_mean
from lookalike.models.embedder import HEAD_NAMES, Embedder, stage_names
from lookalike.settings.check import SettingsError, check, flat
from lookalike.settings.losses import setting_names
from lookalike.settings.search_space import Knob
from lookalike.settings.training import Train
from lookalike.settings.verbs import TuneCommand

UNFROZEN = "model.unfrozen"  # no setting of training: it stands for model.trainable


class TuneError(LookalikeError):
    """The search cannot start or go on."""


def checked_knobs(settings: TuneCommand, base: dict[str, Any]) -> dict[str, Knob]:
    """The knobs that the chosen loss has, their values tried against the settings of training and of their types."""
    every, own = setting_names(), setting_names(settings.loss.name)
    knobs = {}
    for name, knob in settings.tune.knobs().items():
        group, _, setting = name.partition(".")
        if group == "loss" and setting not in every:
            raise TuneError(f"tune.{name}: no loss has such a setting{did_you_mean(setting, sorted(every))}")
        if group == "loss" and setting not in own:
            continue
        try:
            values = [_value(base, name, value) for value in knob.samples()]
        except SettingsError as error:
            hint = "" if knob.whole or knob.choices else "; whole=true draws whole numbers, choices=[...] anything else"
            raise TuneError(f"tune.{name}: {error}{hint}") from None
        knobs[name] = knob.model_copy(update={"choices": values}) if knob.choices is not None else knob
    if not knobs:
        raise TuneError(f"tune: nothing to draw for loss {settings.loss.name}: choose another tune=, or add a setting")
    return knobs


def _value(base: dict[str, Any], name: str, value: str | float) -> Any:
    """A value as training takes it, such as 16 for the text "16"."""
    if name == UNFROZEN:
        most = len(_stages(base["model"]["backbone"]))
        if not str(value).isdigit() or int(value) > most:
            raise SettingsError(f"{value}: expected a whole number of stages, at most {most} here")
        return int(value)
    return flat(settings_of("check", base, {name: value}).model_dump())[name]


def settings_of(search_name: str, base: dict[str, Any], drawn: dict[str, Any]) -> Train:
    """The settings of one run; its name comes from what was drawn, so that the same draw is the same run."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in base.items()}
    for name, value in drawn.items():
        group, _, setting = name.partition(".")
        if name == UNFROZEN:
            setting, value = "trainable", _trainable(base["model"]["backbone"], value)
        values[group][setting] = value
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:8]
    return check(Train, {**values, "run": f"{search_name}-{digest}"})


def _trainable(backbone: str, unfrozen: int) -> list[str]:
    """The last stages of a backbone, in the order they run, and the head."""
    stages = _stages(backbone)
    return [*stages[len(stages) - unfrozen :], "head"]


@cache
def _stages(backbone: str) -> list[str]:
    names = stage_names(Embedder(backbone).backbone)
    return [name for name in names if name not in HEAD_NAMES and not any(n.startswith(f"{name}.") for n in names)]


def first_draw(base: dict[str, Any], knobs: dict[str, Knob]) -> dict[str, Any]:
    """The settings as given, in terms of the knobs, where they lie within what may be drawn.

    Args:
        base: The settings of training in the command, by group.
        knobs: `group.setting` -> how it is drawn.

    Returns:
        `group.setting` -> value; those that lie outside are left out, and said.
    """
    values = flat(base)
    if UNFROZEN in knobs:
        values[UNFROZEN] = _unfrozen(base["model"]["backbone"], base["model"]["trainable"])
    draw = {}
    for name, knob in knobs.items():
        value, ends = values.get(name), knob.samples()
        inside = value in ends if knob.choices is not None else value is not None and ends[0] <= value <= ends[1]
        if inside:
            draw[name] = value
        else:
            shown = base["model"]["trainable"] if name == UNFROZEN else value
            say(f"tune.{name}: {shown}, as given, is not among what may be drawn, so the first trial draws another")
    return draw


def _unfrozen(backbone: str, trainable: list[str]) -> int | None:
    """How many of the last stages are trained; None when it is not the last ones and the head."""
    stages = _stages(backbone)
    if trainable == ["all"]:
        return len(stages)
    opened = [stage for stage in stages if any(stage == name or stage.startswith(f"{name}.") for name in trainable)]
    last = stages[len(stages) - len(opened) :] == opened and any(name in HEAD_NAMES for name in trainable)
    return len(opened) if last else None
