"""The command `lookalike`: reads settings with Hydra, checks them, calls `commands`. Nothing else knows Hydra.

Exit codes: 0 done, 1 done with failures, 2 wrong use.
"""

import errno
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from lookalike import __version__
from lookalike.errors import LookalikeError, did_you_mean

_VERBS = {
    "demo": "the whole job on example photographs: train, evaluate, predict",
    "manifest": "count images per split and class, find unusable files, write the table",
    "audit": "find unusable files, duplicates, leaks, wrong labels; write a page of them",
    "augment": "write augmented copies of the training images",
    "train": "train a model and write it as a bundle",
    "compare": "train with several losses, settings and seeds, and tell which is best",
    "tune": "search settings that validate best; goes on where it stopped",
    "eval": "measure a bundle or a checkpoint on a split",
    "report": "one page about a model: figures, confusions, pictures, a map of the embeddings",
    "predict": "name the nearest known images of new ones",
    "quantize": "write the int8 form of a bundle, if its figures stay",
    "embed": "write the embeddings of any images",
}
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
_OPTIONS = """options:
  --config FILE   read settings from a YAML or JSON file; the command line wins over it
  --debug         show the traceback of an error
  --help          this text; after a verb, its settings
  --version       print the version"""


class UsageError(LookalikeError):
    """The command line cannot be understood."""


def entry() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code and prints errors on one line."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _run(arguments)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing more to say, and nothing to say it to at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LookalikeError as error:
        if debug:
            raise
        print(f"lookalike: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if debug:
            raise
        # No permission, a read-only disk, a file where a folder should be.
        hint = ": check the path and its permissions" if error.errno in _WRONG_PLACE else ""
        told = f"{error.filename}: {error.strerror}{hint}" if error.filename else str(error)
        print(f"lookalike: {told}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if debug or (error.name or "").startswith("lookalike"):
            raise
        print(f"lookalike: this needs the package {error.name}: pip install 'lookalike[train]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lookalike: stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        verbs = "\n".join(f"  {name:<10}{text}" for name, text in _VERBS.items())
        print(f"usage: lookalike <verb> [setting=value ...] [options]\n\nverbs:\n{verbs}\n\n{_OPTIONS}")
        return 0
    if arguments[0] == "--version":
        print(f"lookalike {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in _VERBS:
        raise UsageError(f"{verb}: no such verb{did_you_mean(verb, list(_VERBS))}; verbs: {', '.join(_VERBS)}")
    if "--help" in rest or "-h" in rest:
        print(_help(verb))
        return 0
    from lookalike import commands

    if verb == "compare":
        return commands.compare(*read_grid(rest))
    settings = read_settings(verb, rest)
    if verb == "demo":
        return commands.demo(settings, read_settings)
    command: Callable[[Any], int] = getattr(commands, {"eval": "evaluate"}.get(verb, verb))
    return command(settings)


def read_settings(verb: str, arguments: list[str]) -> Any:
    """Composes the settings of a verb from `configs/`, a `--config` file and `key=value` arguments, and checks them.

    Raises:
        LookalikeError: Unknown group, option or setting, or a value out of range.
    """
    from lookalike.settings import COMMANDS, check

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
    return check(COMMANDS[verb], compose(verb, overrides))


def read_grid(arguments: list[str]) -> tuple[Any, list[tuple[dict[str, str], Any]]]:
    """The settings of `compare`, and of every run: settings with several values (`loss=arcface,cosface`) are its axes.

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
    whole = read_settings("compare", [*plain, *first])
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


def config_folder() -> Path:
    """`configs/` inside the installed package, or of the checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def compose(verb: str, overrides: list[tuple[str, Any]]) -> dict[str, Any]:
    """Plain settings of a verb after the overrides, later ones winning.

    Hydra composes the groups. Values are laid over them as they are: in Hydra's grammar a path may be an expression.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    folder = config_folder()
    groups = _groups(verb, folder)
    last = dict(overrides)
    chosen = [_choice(name, str(value), groups[name]) for name, value in last.items() if name in groups]
    try:
        with hydra.initialize_config_dir(str(folder.resolve()), version_base="1.3"):
            composed = OmegaConf.to_container(hydra.compose(verb, chosen), resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"settings cannot be read: {str(error).splitlines()[0]}") from error
    assert isinstance(composed, dict)
    values = {str(name): value for name, value in composed.items()}
    for name, value in last.items():
        if name not in groups:
            _put(values, name.split("."), value)
    return values


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for group in path[:-1]:
        if not isinstance(values.get(group), dict):
            values[group] = {}
        values = values[group]
    values[path[-1]] = value


def _groups(verb: str, folder: Path) -> dict[str, list[str]]:
    """Config groups of a verb and their options."""
    import yaml

    defaults = yaml.safe_load((folder / f"{verb}.yaml").read_text()).get("defaults", [])
    names = [
        str(name).split()[-1] for entry in defaults if isinstance(entry, dict) for name in entry if "@" not in name
    ]
    return {name: sorted(file.stem for file in (folder / name).glob("*.yaml")) for name in names}


def _choice(group: str, value: str, options: list[str]) -> str:
    """Hydra's choice of one option of a group, or of several loggers."""
    chosen = [part.strip(" '") for part in value.strip("[]").split(",")] if group == "logger" else [value]
    for option in chosen:
        if option not in options:
            raise UsageError(
                f"{group}={option}: no such option{did_you_mean(option, options)}; options: {', '.join(options)}"
            )
    return f"{group}=[{','.join(chosen)}]" if len(chosen) > 1 else f"{group}={chosen[0]}"


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
    return list(_flattened(content))


def _flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    """A value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def _help(verb: str) -> str:
    """Settings of a verb with their defaults and meaning."""
    from pydantic import BaseModel

    from lookalike.setting_types import MISSING
    from lookalike.settings import COMMANDS

    values = compose(verb, [])
    lines = [f"usage: lookalike {verb} [setting=value ...]", "", _VERBS[verb], "", "settings and their defaults:"]

    def add(kind: type[BaseModel], here: dict[str, Any], prefix: str) -> None:
        for name, field in kind.model_fields.items():
            inner = field.annotation
            value = here.get(name)
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                add(inner, value or {}, f"{prefix}{name}.")
            elif isinstance(value, dict) and value:
                lines.extend(f"  {prefix}{name}.{key}={_shown(part)}" for key, part in _flattened(value))
            else:
                shown = "(needed)" if value == MISSING else "none" if value == {} else _shown(value)
                choices = " | ".join(get_args(inner)) if get_origin(inner) is Literal else ""
                meaning = "; ".join(filter(None, (choices, field.description)))
                lines.append(f"{f'  {prefix}{name}={shown}':<44}  {meaning}".rstrip())

    add(COMMANDS[verb], values, "")
    groups = [f"  {name}= {', '.join(options)}" for name, options in _groups(verb, config_folder()).items()]
    return "\n".join([*lines, *(["", "groups (a file under configs/ each):", *groups] if groups else []), "", _OPTIONS])
