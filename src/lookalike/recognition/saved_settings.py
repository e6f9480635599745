"""The settings that a project saved in a checkpoint or beside it: dotted names in lower case -> plain values.

No text is executed: YAML is read as text, tags and all.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lookalike.data.inert_pickle import INERT
from lookalike.data.plain_yaml import read_plain_yaml
from lookalike.errors import one_line
from lookalike.models.settings_pickle import LONGEST, plain

_IN_FILE = ("hyper_parameters", "hparams", "cfg", "config", "opts", "opt", "args", "settings", "params", "model_args")
_BESIDE = (  # of fast-reid, Person_reID_baseline_pytorch, Lightning, timm, OpenCLIP, transformers, Hydra
    *("config.yaml", "config.yml", "opts.yaml", "hparams.yaml", "args.yaml", "config.json"),
    *("open_clip_config.json", "preprocessor_config.json", ".hydra/config.yaml"),
)
_DEEPEST, _MOST, _LARGEST = 8, 2000, 1 << 20
_HIGHEST = 1 << 63  # numbers; Python does not print those of thousands of digits


def settings_in(content: object) -> dict[str, Any]:
    """What stands in a checkpoint.

    Args:
        content: As `checkpoint_tensors.opened` gives it.
    """
    saved: dict[str, Any] = {}
    if not isinstance(content, dict):
        return saved
    for key, boxed in content.items():
        value = plain(boxed)
        if key in _IN_FILE and isinstance(value, dict):
            saved |= dict(_flat(value))
        elif isinstance(key, str) and _is_plain(value):
            saved[key.lower()] = value
    return saved


def unread_in(content: object) -> dict[str, str]:
    """Name in a checkpoint that should have settings -> why they cannot be read: it is an object of an unknown class.

    Args:
        content: As `checkpoint_tensors.opened` gives it.
    """
    entries = content if isinstance(content, dict) else {}
    return {key: "an object of an unknown class" for key in _IN_FILE if entries.get(key) is INERT}


def settings_beside(file: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """File beside a checkpoint -> what it says; and those that cannot be read -> why.

    Args:
        file: The checkpoint.
    """
    beside: dict[str, dict[str, Any]] = {}
    unread: dict[str, str] = {}
    for name in _BESIDE:
        place = file.parent / name
        try:
            if not place.is_file():
                continue
            if place.stat().st_size > _LARGEST:
                raise ValueError(f"more than {_LARGEST} bytes")
            text = place.read_text(encoding="utf-8")
            content = json.loads(text) if name.endswith(".json") else read_plain_yaml(text, any_tag=True)
            if not isinstance(content, dict):
                raise ValueError("no names of settings")
            beside[name] = dict(_flat(content))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            unread[name] = one_line(str(error).strip() or type(error).__name__, LONGEST)
    return beside, unread


def _flat(
    values: dict[Any, Any], prefix: str = "", depth: int = 0, seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Dotted names and values; no dict is entered twice, as YAML may mention it in very many places."""
    seen = set() if seen is None else seen
    if depth > _DEEPEST or id(values) in seen:
        return
    seen.add(id(values))
    for key, boxed in list(values.items())[:_MOST]:
        value, name = plain(boxed), f"{prefix}{one_line(key, LONGEST).lower()}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.", depth + 1, seen)
        elif _is_plain(value):
            yield name, value


def _is_plain(value: object) -> bool:
    parts = value if isinstance(value, list | tuple) else [value]
    return len(parts) <= LONGEST and all(
        part is None
        or isinstance(part, float)
        or (isinstance(part, int) and abs(part) < _HIGHEST)
        or (isinstance(part, str) and len(part) <= LONGEST and part.isprintable())
        for part in parts
    )
