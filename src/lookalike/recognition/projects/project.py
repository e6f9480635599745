"""What a project does with its networks that no checkpoint says: one table a project, each fact with its source."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Kind, Value

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class Step:
    """Layers behind the pooling.

    Attributes:
        stems: Pattern of where they stand in the file, without `.weight`, behind the project's own prefix.
        behind: What follows a layer of a kind: `{"batch norm": "relu"}`.
    """

    stems: str
    behind: dict[Kind, Kind] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """A project's way.

    Attributes:
        name: Its name.
        version: That was read.
        shown_by: What in a file tells the project; empty where nothing does.
        backbone: Pattern of what stands before the backbone's names, behind the wrapper of whoever trains.
        facts: Name of a fact -> its value, and the file of the project that says so.
        steps: Layers between pooling and embedding; None where they are worked out from what is there.
        left_out: Pattern of names that act on the loss alone.
        settings: Name of a fact -> names of the project's settings that say otherwise.
    """

    name: str
    version: str
    shown_by: Callable[[Contents], str]
    backbone: str = ""
    facts: dict[str, tuple[Value, str]] = field(default_factory=dict)
    steps: tuple[Step, ...] | None = None
    left_out: str = r"(?!)"
    settings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def cited(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}".strip()

    def wrapper_of(self, prefix: str) -> str:
        """What stands before the project's own names.

        Args:
            prefix: Before the backbone's names in the file.
        """
        match = re.fullmatch(rf"((?:\w+\.)*?){self.backbone}", prefix)
        return match[1] if match else prefix


def has(contents: Contents, *patterns: str) -> bool:
    """Whether each pattern is found at the start of some name, behind a wrapper or not.

    Args:
        contents: Of the checkpoint.
        patterns: Regular expressions.
    """
    return all(any(re.match(rf"(?:\w+\.)?{pattern}", name) for name in contents.tensors) for pattern in patterns)
