"""From what a person types to checked settings: `setting=value`, options, files of settings, grids."""

import itertools
from collections.abc import Iterable
from typing import Any

from lookalike.cli.settings_file import read_settings_file
from lookalike.cli.verbs import find_verb
from lookalike.settings.compose import UsageError, compose
from lookalike.settings.paths import path_of

_Override = tuple[str, object]  # dotted name, value
_LAID_OVER = ("train", "compare", "tune")  # verbs whose settings are laid over a recipe
_OF_THE_GRID = ("name", "seeds", "output", "run", "seed")  # what a comparison says of itself, or of each run


def read_settings(verb: str, arguments: list[str], once: bool = False) -> Any:
    """Composes the settings of a verb from `configs/`, `--config` files and what was typed, and checks them.

    Args:
        verb: Its name.
        arguments: `name=value`, `--name=value` or `--name value`, and `--config FILE`. A value is taken as it is.
        once: Refuse a setting that is given twice, as whoever types may mean both. Of training, where settings are laid
            over a recipe, the last one wins, and it is said.

    Raises:
        LookalikeError: Unknown group, option or setting, one that is given twice, or a value out of range.
    """
    from_files, typed = _read(verb, arguments, once)
    return _checked(verb, [*from_files, *typed])


def read_shell(verb: str, arguments: list[str], once: bool = False) -> Any:
    """The settings of the verb: the name of the shell may stand alone.

    Args:
        verb: Its name.
        arguments: As of `read_settings`.
        once: As there.
    """
    first = [f"shell={arguments[0]}"] if arguments and "=" not in arguments[0] and arguments[0][:1] != "-" else []
    return read_settings(verb, [*first, *arguments[len(first) :]], once)


def read_grid(verb: str, arguments: list[str], once: bool = False) -> tuple[Any, list[tuple[dict[str, str], Any]]]:
    """The settings of a verb that trains a grid, and of every run: those with several values (`loss=a,b`) are its axes.

    Paths are never split; a value in brackets is one value.

    Args:
        verb: Its name.
        arguments: As of `read_settings`.
        once: As of `read_settings`.

    Returns:
        Settings of the comparison; and per run the values of its axes, and the settings of `train`.

    Raises:
        LookalikeError: As `read_settings`, for any of the runs.
    """
    from_files, typed = _read(verb, arguments, once)
    axes: dict[str, list[str]] = {}
    plain: list[_Override] = [*from_files]
    for name, value in typed:
        bracketed = value.startswith("[")
        is_path = name.startswith(("data.", "logger")) or name.endswith(("_dir", "output", "weights"))
        if name == "seeds":
            plain.append((name, value if bracketed else f"[{value}]"))
        elif "," in value and not bracketed and not is_path:
            axes[name] = list(dict.fromkeys(part.strip() for part in value.split(",")))
        else:
            plain.append((name, value))
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    comparison = _checked(verb, [*plain, *points[0].items()])
    shared = [(name, value) for name, value in plain if name not in _OF_THE_GRID]
    runs = []
    for point in points:
        for seed in comparison.seeds:
            values = "-".join(value.replace("/", "_") for value in point.values())
            run = "-".join(filter(None, (comparison.name, values, f"s{seed}")))
            runs.append((point, _checked("train", [*shared, *point.items(), ("run", run), ("seed", seed)])))
    return comparison, runs


def _checked(verb: str, overrides: Iterable[_Override]) -> Any:
    from lookalike.settings.check import check

    named = find_verb(verb)
    return check(named.settings_type, compose(named.config, overrides))


def _read(verb: str, arguments: list[str], once: bool) -> tuple[list[_Override], list[tuple[str, str]]]:
    """What `--config` files hold, and the settings that were typed, as (name, text)."""
    from lookalike.console import say

    from_files: list[_Override] = []
    typed: list[tuple[str, str]] = []
    before: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        has_value, is_option = bool(equals), name.startswith("--")
        if is_option and not equals:
            value = next(rest, "--")
            has_value = not value.startswith("--")  # such a value is given by --name=value
        if name == "--config":
            if not has_value:
                raise UsageError("--config: needs a file, such as --config configs/predict_config.json")
            from_files += read_settings_file(path_of(value, name))
            continue
        name = name[2:].replace("-", "_") if is_option else name
        if not has_value or not name or name.startswith("-"):
            raise UsageError(f"{argument}: expected setting=value; lookalike {verb} --help lists the settings")
        if once and before.get(name, value) != value:
            both = f"{name}: given twice: {name}={before[name]} and {name}={value}"
            if verb not in _LAID_OVER:
                raise UsageError(f"{both}: keep one of them")
            say(f"{both}: the last one is taken")
        before[name] = value
        typed.append((name, value))
    return from_files, typed
