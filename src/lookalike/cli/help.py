"""The help of a verb: its settings with their defaults and meaning."""

from typing import Any, Literal, get_args, get_origin

from lookalike.cli.verbs import GALLERY, VERBS, Verb, gallery_actions
from lookalike.settings.compose import compose, config_folder, config_groups

_OPTIONS = """options:
  --NAME VALUE    the same as NAME=VALUE, for any setting; a dash in a name may stand for _
  --config FILE   read settings from a YAML or JSON file; the command line wins over it
  --debug         show the traceback of an error
  --help          this text; after a verb, its settings
  --version       print the version"""


def general_help() -> str:
    """The verbs and the options."""
    verbs = {verb.name: verb.help for verb in VERBS.values() if not verb.name.startswith(f"{GALLERY} ")}
    verbs[GALLERY] = "images that are enrolled, renamed, removed and searched without training; see gallery --help"
    lines = "\n".join(f"  {name:<10}{text}" for name, text in verbs.items())
    return f"usage: lookalike <verb> [setting=value ...] [options]\n\nverbs:\n{lines}\n\n{_OPTIONS}"


def gallery_help() -> str:
    """The actions of the verb `gallery`."""
    lines = "\n".join(f"  {verb.name.partition(' ')[2]:<10}{verb.help}" for verb in gallery_actions())
    return (
        f"usage: lookalike {GALLERY} <action> {GALLERY}=<folder> [setting=value ...]\n\nactions:\n{lines}\n\n"
        f"lookalike {GALLERY} <action> --help lists its settings; predict and eval search it: {GALLERY}=<folder>\n\n"
        f"{_OPTIONS}"
    )


def verb_help(verb: Verb) -> str:
    """Settings of a verb with their defaults and meaning."""
    from pydantic import BaseModel

    from lookalike.settings.check import as_typed, flat

    values, options_of = compose(verb.config, []), config_groups(verb.config, config_folder())
    lines = [f"usage: lookalike {verb.name} [setting=value ...]", "", verb.help, "", "settings and their defaults:"]

    def add(kind: type[BaseModel], here: dict[str, Any], prefix: str) -> None:
        for name, field in kind.model_fields.items():
            inner = field.annotation
            parts = get_args(inner)
            if type(None) in parts and any(hasattr(part, "model_fields") for part in parts):
                chosen = here.get(name)  # a group that may be left out: the name of its option, where that has one
                here = {**here, name: chosen.get("name") if isinstance(chosen, dict) else None}
            value = here.get(name)
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                add(inner, value or {}, f"{prefix}{name}.")
            elif isinstance(value, dict) and value:
                lines.extend(f"  {prefix}{name}.{key}={as_typed(part)}" for key, part in flat(value).items())
            else:
                needed = name not in here and field.is_required()
                empty = "none" if name in options_of else "{}"
                shown = "(needed)" if needed else empty if value == {} else as_typed(value)
                choices = " | ".join(get_args(inner)) if get_origin(inner) is Literal else ""
                meaning = "; ".join(filter(None, (choices, field.description)))
                lines.append(f"{f'  {prefix}{name}={shown}':<44}  {meaning}".rstrip())

    add(verb.settings_type, values, "")
    groups = [f"  {name}= {', '.join(options)}" for name, options in options_of.items()]
    return "\n".join([*lines, *(["", "groups (a file under configs/ each):", *groups] if groups else []), "", _OPTIONS])
