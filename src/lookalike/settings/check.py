"""Every setting of every command: its type, its range, its meaning. Defaults live in `configs/`, not here.

A misspelt or out-of-range setting stops the command before any data is read.
"""

from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from lookalike.errors import LookalikeError, listed
from lookalike.settings.training import needed_setting, unknown_setting
from lookalike.settings.types import Settings


class SettingsError(LookalikeError):
    """A setting is unknown, missing or out of range."""


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `group.name` -> value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def check(kind: type[Settings], values: dict[str, Any]) -> Any:
    """Builds settings from plain values.

    Raises:
        SettingsError: Names every unknown, missing or out-of-range setting, with the nearest known names.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = [_problem(kind, values, dict(detail)) for detail in error.errors()]
        first = "" if len(problems) == 1 else f"{len(problems)} wrong settings:\n  "
        raise SettingsError(first + listed(problems)) from None


def _problem(kind: type[Settings], values: dict[str, Any], detail: dict[str, Any]) -> str:
    where = [str(part) for part in detail["loc"]]
    if len(where) > 1 and where[0] == "loss" and where[1] == values.get("loss", {}).get("name"):
        del where[1]  # the discriminator, which is no setting
    name = ".".join(where)
    if detail["type"] == "extra_forbidden":
        return unknown_setting(name, _known(kind, where[:-1], values))
    if detail["type"] == "missing" or detail["input"] is None:
        return needed_setting(name)
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name without slashes that starts with neither a dot nor a space"
        suffix = str(detail["ctx"]["pattern"]).replace("\\", "").rstrip("$") if name == "output" else ""
        return f"{name}={detail['input']}: expected {'a file ending in ' + suffix if suffix else wanted}"
    if detail["type"] == "logger":
        return str(detail["msg"])
    if detail["type"] == "union_tag_invalid":
        return f"{name}.name={detail['ctx']['tag']}: expected {detail['ctx']['expected_tags']}: choose it by {name}=..."
    message = str(detail["msg"]).replace("Input should be", "expected")
    return f"{name}={detail['input']}: {message[0].lower() + message[1:]}"


def _known(kind: type[Settings], where: list[str], values: dict[str, Any]) -> list[str]:
    """The settings of one group; those of a loss depend on its name."""
    fields: Any = kind
    for part in where:
        annotation = (
            fields.model_fields[part].annotation if isinstance(fields, type) and issubclass(fields, BaseModel) else None
        )
        if part == "loss":
            options = getattr(annotation, "__args__", ())
            wanted = values["loss"].get("name")
            annotation = next(
                (option for option in options if option.model_fields["name"].annotation.__args__[0] == wanted), None
            )
        fields = annotation
    return list(getattr(fields, "model_fields", {}))
