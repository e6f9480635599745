"""Every setting of every command: its type, its range, its meaning. Defaults live in `configs/`, not here.

A misspelt or out-of-range setting stops the command before any data is read.
"""

import json
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from lookalike.errors import LookalikeError, listed
from lookalike.settings.paths import without_login
from lookalike.settings.training import needed_setting, unknown_setting
from lookalike.settings.types import Settings

_LONGEST = 200  # letters of a name or a value in an error
_Kind = TypeVar("_Kind", bound=Settings)


_ELSEWHERE = {  # what other programs call a setting -> what it is called here, in whatever group
    **dict.fromkeys(("epochs", "epoch", "n_epochs", "num_epochs"), "max_epochs"),
    **dict.fromkeys(("lr", "lr0", "base_lr"), "learning_rate"),
    **dict.fromkeys(("bs", "batch", "batchsize"), "batch_size"),
    **dict.fromkeys(("num_workers", "n_workers", "threads"), "workers"),
    **dict.fromkeys(("dim", "embedding_dim", "embed_dim"), "embedding_size"),
    **dict.fromkeys(("img_size", "image_size", "imgsz", "size"), "height"),
    **dict.fromkeys(("arch", "architecture", "network", "model_name"), "backbone"),
    **dict.fromkeys(("data_dir", "data_path", "dataset"), "root"),
    **dict.fromkeys(("topk", "top_k", "n_neighbors", "neighbors", "neighbours"), "k"),
    **dict.fromkeys(("ckpt", "checkpoint"), "ckpt_path"),
    **dict.fromkeys(("wd", "l2"), "weight_decay"),
    "gpu": "device",
}


class SettingsError(LookalikeError):
    """A setting is unknown, missing or out of range."""


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `group.name` -> value."""
    dotted: dict[str, Any] = {}
    for name, value in values.items():
        dotted |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return dotted


def as_typed(value: object) -> str:
    """A value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def check(kind: type[_Kind], values: dict[str, Any]) -> _Kind:
    """Builds settings from plain values.

    Args:
        kind: A class of settings, or such a choice of classes as `settings.losses.Loss`.
        values: Nested; a text stands for what the command line makes of it.

    Raises:
        SettingsError: Names every unknown, missing or out-of-range setting, with the nearest known names.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = [_problem(kind, values, dict(detail)) for detail in error.errors()]
        first = "" if len(problems) == 1 else f"{len(problems)} wrong settings:\n  "
        raise SettingsError(first + listed(problems)) from None


def _printed(value: object) -> str:
    """A value on one line, without a password, its end where it is long, and what would move a terminal's cursor."""
    text = without_login(str(value))[: _LONGEST + 1]
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _problem(kind: type[Settings], values: dict[str, Any], detail: dict[str, Any]) -> str:
    where = [str(part) for part in detail["loc"]]
    if len(where) > 1 and where[0] == "loss" and where[1] == values.get("loss", {}).get("name"):
        del where[1]  # the discriminator, which is no setting
    name, given = ".".join(where)[:_LONGEST], _printed(detail["input"])
    if detail["type"] == "extra_forbidden":
        return unknown_setting(_printed(name), _settings_of(kind, where[:-1], values), _meant(kind, where, values))
    if detail["type"] == "missing" or detail["input"] is None:
        return needed_setting(name)
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name without slashes that starts with neither a dot nor a space"
        suffix = str(detail["ctx"]["pattern"]).replace("\\", "").rstrip("$") if name == "output" else ""
        return f"{name}={given}: expected {'a file ending in ' + suffix if suffix else wanted}"
    if detail["type"] in ("logger", "whole_line"):
        return str(detail["msg"])
    if detail["type"] == "union_tag_invalid":
        return f"{name}.name={detail['ctx']['tag']}: expected {detail['ctx']['expected_tags']}: choose it by {name}=..."
    message = str(detail["msg"]).replace("Input should be", "expected")
    return f"{name}={given}: {message[0].lower() + message[1:]}"


def _meant(kind: type[Settings], where: list[str], values: dict[str, Any]) -> list[str]:
    """Settings that have this name, or the name that we use for it: of any group, or of the one that was given."""
    names = {where[-1], _ELSEWHERE.get(where[-1], where[-1])}
    there_too = [name for name, field in kind.model_fields.items() if _is_group(field.annotation)]
    of_values = [name for name in values if isinstance(values[name], dict)]
    groups = [[], *([name] for name in dict.fromkeys([*of_values, *there_too]))] if len(where) == 1 else [where[:-1]]
    try:
        there = [[*group, name] for group in groups for name in _settings_of(kind, group, values)]
    except KeyError:  # the loss has no such name either, which is told beside this
        return []
    return [".".join(parts) for parts in there if parts[-1] in names]


def _is_group(kind: object) -> bool:
    """Whether a setting is a group that may be left out."""
    return type(None) in get_args(kind) and hasattr(_without_none(kind), "model_fields")


def _settings_of(kind: type[Settings], where: list[str], values: dict[str, Any]) -> list[str]:
    """The settings of one group; those of a loss depend on its name."""
    group: Any = kind
    for part in where:
        fields = getattr(group, "model_fields", {})
        inner = get_args(group)[-1:] or (None,)  # of a dict: the type of its values
        group = _without_none(fields[part].annotation) if part in fields else inner[0]
    if where == ["loss"]:
        names = {get_args(option.model_fields["name"].annotation)[0]: option for option in get_args(group)}
        group = names[values["loss"]["name"]]
    return list(getattr(group, "model_fields", {}))


def _without_none(kind: object) -> object:
    """Of a group that may be left out, the group; any other kind as it is."""
    parts = get_args(kind)
    return next((part for part in parts if hasattr(part, "model_fields")), kind) if type(None) in parts else kind
