"""Every setting of every command: its type, its range, its meaning. Defaults live in `configs/`, not here.

A misspelt or out-of-range setting stops the command before any data is read.
"""

from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from lookalike.errors import LookalikeError, listed
from lookalike.settings.training import needed_setting, unknown_setting
from lookalike.settings.types import Settings

_LONGEST = 200  # letters of a name or a value in an error
_Kind = TypeVar("_Kind", bound=Settings)


class SettingsError(LookalikeError):
    """A setting is unknown, missing or out of range."""


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `group.name` -> value."""
    dotted: dict[str, Any] = {}
    for name, value in values.items():
        dotted |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return dotted


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
    """A value on one line, with neither its end where it is long nor what would move a terminal's cursor."""
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(value)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _problem(kind: type[Settings], values: dict[str, Any], detail: dict[str, Any]) -> str:
    where = [str(part) for part in detail["loc"]]
    if len(where) > 1 and where[0] == "loss" and where[1] == values.get("loss", {}).get("name"):
        del where[1]  # the discriminator, which is no setting
    name, given = ".".join(where)[:_LONGEST], _printed(detail["input"])
    if detail["type"] == "extra_forbidden":
        return unknown_setting(_printed(name), _settings_of(kind, where[:-1], values))
    if detail["type"] == "missing" or detail["input"] is None:
        return needed_setting(name)
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name without slashes that starts with neither a dot nor a space"
        suffix = str(detail["ctx"]["pattern"]).replace("\\", "").rstrip("$") if name == "output" else ""
        return f"{name}={given}: expected {'a file ending in ' + suffix if suffix else wanted}"
    if detail["type"] == "logger":
        return str(detail["msg"])
    if detail["type"] == "union_tag_invalid":
        return f"{name}.name={detail['ctx']['tag']}: expected {detail['ctx']['expected_tags']}: choose it by {name}=..."
    message = str(detail["msg"]).replace("Input should be", "expected")
    return f"{name}={given}: {message[0].lower() + message[1:]}"


def _settings_of(kind: type[Settings], where: list[str], values: dict[str, Any]) -> list[str]:
    """The settings of one group; those of a loss depend on its name."""
    group: Any = kind
    for part in where:
        fields = getattr(group, "model_fields", {})
        inner = get_args(group)[-1:] or (None,)  # of a dict: the type of its values
        group = fields[part].annotation if part in fields else inner[0]
    if where == ["loss"]:
        names = {get_args(option.model_fields["name"].annotation)[0]: option for option in get_args(group)}
        group = names[values["loss"]["name"]]
    return list(getattr(group, "model_fields", {}))
