"""The settings of a verb as rows: name, default, choices, meaning; for its help, its completion and the site."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from lookalike.cli.verbs import Verb
from lookalike.settings.compose import compose, config_folder, config_groups

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class SettingRow:
    """One setting of a verb.

    Attributes:
        name: Dotted, as it is typed.
        default: As it is typed; `(needed)` where there is none.
        choices: The values that it may have, where they are few.
        meaning: In a line; may be empty.
    """

    name: str
    default: str
    choices: tuple[str, ...] = ()
    meaning: str = ""


def setting_rows(verb: Verb) -> list[SettingRow]:
    """Every setting of a verb, in the order of its class.

    Args:
        verb: Of the table of verbs.
    """
    return _rows(verb.settings_type, compose(verb.config, []), "", config_groups(verb.config, config_folder()))


def group_options(verb: Verb) -> dict[str, list[str]]:
    """The groups of a verb, a file under `configs/` for each of their options.

    Args:
        verb: Of the table of verbs.
    """
    return config_groups(verb.config, config_folder())


def _rows(
    kind: "type[BaseModel]", here: dict[str, Any], prefix: str, options_of: dict[str, list[str]]
) -> list[SettingRow]:
    from pydantic import BaseModel

    from lookalike.settings.check import as_typed, flat

    rows: list[SettingRow] = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        parts = get_args(inner)
        if type(None) in parts and any(hasattr(part, "model_fields") for part in parts):
            chosen = here.get(name)  # a group that may be left out: the name of its option, where that has one
            here = {**here, name: chosen.get("name") if isinstance(chosen, dict) else None}
        value = here.get(name)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows += _rows(inner, value or {}, f"{prefix}{name}.", options_of)
        elif isinstance(value, dict) and value:
            rows += [SettingRow(f"{prefix}{name}.{key}", as_typed(part)) for key, part in flat(value).items()]
        else:
            empty = "none" if name in options_of else "{}"
            needed = name not in here and field.is_required()
            shown = "(needed)" if needed else empty if value == {} else as_typed(value)
            rows.append(SettingRow(f"{prefix}{name}", shown, _choices(field), field.description or ""))
    return rows


def _choices(field: "FieldInfo") -> tuple[str, ...]:
    return tuple(map(str, get_args(field.annotation))) if get_origin(field.annotation) is Literal else ()
