"""Settings from a YAML or JSON file (`--config`): plain values, of limited size, each said once.

YAML is read event by event: what an alias, a nesting or a size would cost is known before it is built.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.settings.compose import UsageError
from lookalike.special_files import is_special

if TYPE_CHECKING:
    import yaml

_LARGEST = 1 << 18  # bytes
_DEEPEST = 12  # levels of lists and groups
_MOST = 1000  # values, those that aliases repeat counted again


def read_settings_file(file: Path) -> list[tuple[str, Any]]:
    """Dotted names and values, in the order of the file; texts of YAML stay text, and its `~` alone means no value.

    Args:
        file: `.json` is JSON, anything else YAML.

    Raises:
        UsageError: It cannot be read, is no such file, says a setting twice or is too large.
    """
    try:
        text = _text_of(file)
        content = _from_json(text) if file.suffix.lower() == ".json" else _from_yaml(text)
        if not isinstance(content, dict):
            kind = "nothing" if content in (None, "") else type(content).__name__
            raise ValueError(f"expected settings such as k: 10, got {kind}")
        return _flat(content)
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--config {file}: {str(error).splitlines()[0]}") from error


def _text_of(file: Path) -> str:
    if file.is_dir() or is_special(file):
        raise ValueError("expected a file, found a folder, a pipe or a device")
    with file.open("rb") as source:
        data = source.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"more than {_LARGEST >> 10} KiB, which is no file of settings: give another one")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not YAML or JSON in UTF-8 (byte {error.start + 1}): save it again as UTF-8") from error


def _from_json(text: str) -> object:
    """JSON as Python has it.

    Raises:
        ValueError: Not JSON, a name twice, too deep or too much.
    """
    try:
        content = json.loads(text, object_pairs_hook=_each_name_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"not YAML or JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    _need_small(content)
    return content


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    group: dict[str, object] = {}
    for name, value in pairs:
        if name in group:
            raise ValueError(_twice(name))
        group[name] = value
    return group


def _need_small(content: object) -> None:
    level, depth, count = [content], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > _DEEPEST:
            raise ValueError(_too_deep())
        if count > _MOST:
            raise ValueError(_too_many())
        inner = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [value for part in inner for value in part]


def _from_yaml(text: str) -> object:
    """YAML without its types: run: 2024 or image: on are names, as on the command line; None for an empty file.

    Raises:
        ValueError: Not YAML, a name twice, too deep or too much.
    """
    import yaml

    # The one in C is quicker by far, and as the other in what it reads.
    events = yaml.parse(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    try:
        documents = 0
        content: object = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise ValueError(f"line {_line(event)}: a second document (---): keep one of them")
                content = _Builder(events).value(next(events))
        _need_small(content)  # aliases may have nested what was not deep where it was written
        return content
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"not YAML or JSON ({place}{reason})") from error


class _Builder:
    """Values from the events of one document."""

    def __init__(self, events: "Iterator[yaml.Event]") -> None:
        self._events = events
        self._anchors: dict[str, tuple[object, int]] = {}  # value, and how many values are in it
        self._count = 0

    def value(self, event: "yaml.Event", depth: int = 1) -> object:
        """The value that starts with an event; the events of its parts are taken."""
        import yaml

        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"line {_line(event)}: *{event.anchor} stands for nothing before it: write it out")
            value, size = self._anchors[event.anchor]
            self._add(size)
            return value
        before = self._count
        self._add(1)
        if depth > _DEEPEST:
            raise ValueError(_too_deep())
        built: object
        if isinstance(event, yaml.MappingStartEvent):
            built = self._mapping(depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            parts: list[object] = []
            while not isinstance(part := next(self._events), yaml.SequenceEndEvent):
                parts.append(self.value(part, depth + 1))
            built = parts
        else:
            assert isinstance(event, yaml.ScalarEvent)
            built = None if event.value == "~" and not event.style else event.value
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = built, self._count - before
        return built

    def _mapping(self, depth: int) -> dict[str, object]:
        import yaml

        group: dict[str, object] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise ValueError(
                    f"line {_line(key)}: expected the name of a setting, found a list, a group or an alias"
                )
            if key.value in group:
                raise ValueError(f"line {_line(key)}: {_twice(key.value)}")
            group[key.value] = self.value(next(self._events), depth + 1)
        return group

    def _add(self, values: int) -> None:
        self._count += values
        if self._count > _MOST:
            raise ValueError(_too_many())


def _flat(content: dict[str, Any]) -> list[tuple[str, Any]]:
    """Nested settings as (`group.name`, value), each once."""
    from lookalike.settings.check import flat

    pairs: dict[str, Any] = {}
    for name, value in content.items():
        for inner, part in flat({name: value}).items():
            if inner in pairs:
                raise ValueError(_twice(inner))
            pairs[inner] = part
    return list(pairs.items())


def _line(event: "yaml.Event") -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def _twice(name: str) -> str:
    return f"{name[:80]} stands there twice: keep one of them"


def _too_deep() -> str:
    return f"lists and groups inside each other beyond {_DEEPEST} levels, which no setting has: give another file"


def _too_many() -> str:
    return f"more than {_MOST} values, aliases counted as often as they stand there: no file of settings has so many"
