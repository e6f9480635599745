"""From `configs/` to the plain settings of a verb. Nothing else knows Hydra."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from lookalike.errors import LookalikeError, did_you_mean

_COMPOSING = Lock()  # Hydra's state is the process's
_DEEPEST = 8  # dots in the name of a setting


class UsageError(LookalikeError):
    """The command line cannot be understood."""


def config_folder() -> Path:
    """`configs/` inside the installed package, or of the checkout."""
    installed = Path(__file__).parents[1] / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "configs"


def compose(verb: str, overrides: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Plain settings of a verb after the overrides, later ones winning; what has no value is not among them.

    Hydra composes the groups. Values are laid over them as they are: in Hydra's grammar a path may be an expression.

    Args:
        verb: Its defaults stand in `configs/<verb>.yaml`.
        overrides: (dotted name, value): options of groups (null for one that the defaults leave out), and settings.

    Raises:
        UsageError: A group has no such option.
    """
    folder = config_folder().resolve()
    state = _state_of(folder)
    groups = _groups(verb, folder, state)
    last = dict(overrides)
    without_preset = _without_preset(last)
    for name in [*_left_out(verb, folder, state), *(["quality"] if without_preset else [])]:
        if name in last and is_null(last[name]):
            last.pop(name, None)
    if deep := next((name for name in last if name.count(".") > _DEEPEST), None):
        raise UsageError(f"{deep[:80]}...: unknown setting: no name has more than {_DEEPEST} dots")
    chosen = [_choice(name, str(value), groups[name]) for name, value in last.items() if name in groups]
    values = _with_a_value(_composed(verb, tuple(chosen), folder, state))
    for name in _taken_out(verb, folder, state):
        values.pop(name)
    if without_preset and "quality" in groups:
        values["quality"] = None
    for name, value in last.items():
        if name not in groups:
            _put(values, name.split("."), value)
    return values


def is_null(value: object) -> bool:
    """Whether a value says that there is none, as Python or as the command line says it."""
    return value is None or value == "null"


def _without_preset(last: dict[str, object]) -> bool:
    """Whether nobody asks for a preset: null says so, and so does a model or an experiment without one beside it."""
    if "quality" in last:
        return is_null(last["quality"])
    return any(not is_null(last.get(name)) for name in ("model", "experiment"))


def _state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Which files of settings there are, and when each was written."""
    files = ((file, file.stat()) for file in sorted(folder.rglob("*.yaml")))
    return tuple((str(file), status.st_mtime_ns, status.st_size) for file, status in files)


@lru_cache(maxsize=256)
def _composed(verb: str, chosen: tuple[str, ...], folder: Path, state: object) -> dict[str, Any]:
    """What Hydra makes of the files, for as long as they stay as they are: it takes a tenth of a second."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with _COMPOSING, _hydra_aside(), hydra.initialize_config_dir(str(folder), version_base="1.3"):
            composed = OmegaConf.to_container(hydra.compose(verb, list(chosen)), resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"settings cannot be read: {str(error).splitlines()[0]}") from error
    assert isinstance(composed, dict)
    return {str(name): value for name, value in composed.items()}


@contextmanager
def _hydra_aside() -> Iterator[None]:
    """Hydra as if nobody had used it; what a program or notebook has initialised or registered is back at the end."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.singleton import Singleton
    from hydra.version import VersionBase
    from omegaconf.basecontainer import BaseContainer

    kinds, resolvers = (GlobalHydra, VersionBase), dict(BaseContainer._resolvers)
    theirs: dict[type, Singleton] = {
        kind: Singleton._instances.pop(kind) for kind in kinds if kind in Singleton._instances
    }
    try:
        yield
    finally:
        for kind in kinds:
            Singleton._instances.pop(kind, None)
        Singleton._instances.update(theirs)
        BaseContainer._resolvers = resolvers


def _with_a_value(composed: dict[Any, Any]) -> dict[str, Any]:
    """A copy without what the files mark `???`; a value that was typed may read so."""
    return {
        str(name): _with_a_value(value) if isinstance(value, dict) else deepcopy(value)
        for name, value in composed.items()
        if value != "???"
    }


def _put(values: dict[str, Any], path: list[str], value: object) -> None:
    for group in path[:-1]:
        if not isinstance(values.get(group), dict):
            values[group] = {}
        values = values[group]
    values[path[-1]] = value


def config_groups(verb: str, folder: Path) -> dict[str, list[str]]:
    """Config groups of a verb and their options."""
    return {name: list(options) for name, options in _groups(verb, folder, _state_of(folder)).items()}


@lru_cache(maxsize=64)
def _groups(verb: str, folder: Path, state: object) -> dict[str, list[str]]:
    """As `config_groups`, for as long as the files stay as they are."""
    names = _defaults(verb, folder, state)
    return {name: sorted(file.stem for file in (folder / name).glob("*.yaml")) for name in names}


def _left_out(verb: str, folder: Path, state: object) -> list[str]:
    """The groups of which no option is chosen unless one is given: null says so, too."""
    return [name for name, option in _defaults(verb, folder, state).items() if option is None]


def _defaults(verb: str, folder: Path, state: object) -> dict[str, str | None]:
    """Config groups of a verb and the option that is chosen where none is given."""
    return {name: option for name, (option, taken_out) in _entries(verb, folder, state).items() if not taken_out}


def _taken_out(verb: str, folder: Path, state: object) -> list[str]:
    """The groups that a model's recipe may choose an option of, and the verb has no use for."""
    return [name for name, (_, taken_out) in _entries(verb, folder, state).items() if taken_out]


@lru_cache(maxsize=64)
def _entries(verb: str, folder: Path, state: object) -> dict[str, tuple[str | None, bool]]:
    """The groups of a verb's file: the option of each, and whether the file takes out what that brings."""
    import yaml

    content = yaml.safe_load((folder / f"{verb}.yaml").read_text())
    pairs = [pair for entry in content.get("defaults", []) if isinstance(entry, dict) for pair in entry.items()]
    options = {str(name).split()[-1].lstrip("/"): option for name, option in pairs if "@" not in name}
    return {name: (option, content.get(name, "") is None) for name, option in options.items()}


def _choice(group: str, value: str, options: list[str]) -> str:
    """Hydra's choice of one option of a group, or of several loggers."""
    chosen = [part.strip(" '") for part in value.strip("[]").split(",")] if group == "logger" else [value]
    for option in chosen:
        if option not in options:
            raise UsageError(
                f"{group}={option}: no such option{did_you_mean(option, options)}; options: {', '.join(options)}"
            )
    return f"{group}=[{','.join(chosen)}]" if len(chosen) > 1 else f"{group}={chosen[0]}"
