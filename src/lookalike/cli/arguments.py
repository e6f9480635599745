"""From what a person types to checked settings: `setting=value`, files of settings, grids."""

import itertools
import json
from pathlib import Path
from typing import Any

from lookalike.cli.verbs import find_verb
from lookalike.settings.compose import UsageError, compose, flattened


def read_settings(verb: str, arguments: list[str]) -> Any:
    """Composes the settings of a verb from `configs/`, a `--config` file and `key=value` arguments, and checks them.

    Raises:
        LookalikeError: Unknown group, option or setting, or a value out of range.
    """
    from lookalike.settings.check import check

    overrides: list[tuple[str, Any]] = []
    arguments = list(arguments)
    while "--config" in arguments:
        place = arguments.index("--config")
        if place + 1 == len(arguments):
            raise UsageError("--config: needs a file, such as --config configs/predict_config.json")
        overrides += _from_file(Path(arguments[place + 1]))
        del arguments[place : place + 2]
    while "--apply" in arguments:  # audit's, as people type it
        place = arguments.index("--apply")
        arguments[place : place + 2] = [f"apply={arguments[place + 1] if place + 1 < len(arguments) else ''}"]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name or name.startswith("-"):
            raise UsageError(f"{argument}: expected setting=value; lookalike {verb} --help lists the settings")
        overrides.append((name, value))
    return check(find_verb(verb).settings_type, compose(verb, overrides))


def read_grid(verb: str, arguments: list[str]) -> tuple[Any, list[tuple[dict[str, str], Any]]]:
    """The settings of a verb that trains a grid, and of every run: those with several values (`loss=a,b`) are its axes.

    Paths are never split; a value in brackets is one value.

    Returns:
        Settings of the comparison; and per run the values of its axes, and the settings of `train`.

    Raises:
        LookalikeError: As `read_settings`, for any of the runs.
    """
    axes: dict[str, list[str]] = {}
    plain = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        several = "," in value and not value.startswith("[")
        if several and name == "seeds":
            plain.append(f"seeds=[{value}]")
        elif several and not name.startswith(("data.", "logger")) and not name.endswith(("_dir", "output", "weights")):
            axes[name] = list(dict.fromkeys(part.strip() for part in value.split(",")))
        else:
            plain.append(f"seeds=[{value}]" if name == "seeds" and not value.startswith("[") else argument)
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    first = [f"{name}={value}" for name, value in points[0].items()]
    whole = read_settings(verb, [*plain, *first])
    kept = [
        argument for argument in plain if argument.partition("=")[0] not in ("name", "seeds", "output", "run", "seed")
    ]
    runs = []
    for point in points:
        for seed in whole.seeds:
            values = "-".join(value.replace("/", "_") for value in point.values())
            run = "-".join(filter(None, (whole.name, values, f"s{seed}")))
            given = [*kept, *(f"{name}={value}" for name, value in point.items()), f"run={run}", f"seed={seed}"]
            runs.append((point, read_settings("train", given)))
    return whole, runs


def _from_file(file: Path) -> list[tuple[str, Any]]:
    """Settings of a YAML or JSON file as overrides."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        # Without YAML's types a value means what it means on the command line: run: 2024 or image: on are names.
        content = json.loads(text) if file.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"--config {file}: not YAML or JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config {file}: expected settings such as k: 10, got {type(content).__name__}")
    return list(flattened(content))
