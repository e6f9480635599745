"""The table of verbs: what each is called, what it does, its settings, and the function that does it.

Settings and functions are named, not imported: a verb loads what it needs when it is called, so that `predict` starts
without torch and `--help` without anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lookalike.errors import did_you_mean
from lookalike.settings.compose import UsageError

if TYPE_CHECKING:
    from lookalike.settings.types import Settings


@dataclass(frozen=True)
class Verb:
    """One verb of the command `lookalike`.

    Attributes:
        name: What is typed; `configs/<name>.yaml` holds the defaults of its settings.
        help: What it does, in a line.
        settings: Class in `settings.verbs` that checks them.
        function: `module:function` below `lookalike.cli`: takes what `reader` gives, returns the exit code.
        reader: `module:function` below `lookalike.cli`: takes the verb and the arguments behind it.
    """

    name: str
    help: str
    settings: str
    function: str
    reader: str = "arguments:read_settings"

    @property
    def settings_type(self) -> "type[Settings]":
        """The class of its settings."""
        kind: type[Settings] = getattr(import_module("lookalike.settings.verbs"), self.settings)
        return kind

    def run(self, arguments: list[str]) -> int:
        """Reads the settings from what was typed behind the verb, and does it; returns the exit code."""
        reader, function = (_named(place) for place in (self.reader, self.function))
        code: int = function(reader(self.name, arguments))
        return code


VERBS = {
    verb.name: verb
    for verb in (
        Verb("demo", "the whole job on example photographs: train, evaluate, predict", "DemoCommand", "demo_verb:demo"),
        Verb(
            "manifest",
            "count images per split and class, find unusable files, write the table",
            "ManifestCommand",
            "data_verbs:manifest",
        ),
        Verb(
            "audit",
            "find unusable files, duplicates, leaks, wrong labels; write a page of them",
            "AuditCommand",
            "data_verbs:audit",
        ),
        Verb("augment", "write augmented copies of the training images", "AugmentCommand", "data_verbs:augment"),
        Verb("train", "train a model and write it as a bundle", "Train", "training_verbs:train"),
        Verb(
            "compare",
            "train with several losses, settings and seeds, and tell which is best",
            "CompareCommand",
            "training_verbs:compare",
            "arguments:read_grid",
        ),
        Verb(
            "tune", "search settings that validate best; goes on where it stopped", "TuneCommand", "training_verbs:tune"
        ),
        Verb("eval", "measure a bundle or a checkpoint on a split", "EvalCommand", "model_verbs:evaluate"),
        Verb(
            "report",
            "one page about a model: figures, confusions, pictures, a map of the embeddings",
            "ReportCommand",
            "model_verbs:report",
        ),
        Verb("predict", "name the nearest known images of new ones", "PredictCommand", "model_verbs:predict"),
        Verb(
            "quantize",
            "write the int8 form of a bundle, if its figures stay",
            "QuantizeCommand",
            "training_verbs:quantize",
        ),
        Verb("embed", "write the embeddings of any images", "EmbedCommand", "model_verbs:embed"),
    )
}


def find_verb(name: str) -> Verb:
    """The verb of a name.

    Raises:
        UsageError: There is none; the text names the nearest, and all.
    """
    if name not in VERBS:
        raise UsageError(f"{name}: no such verb{did_you_mean(name, list(VERBS))}; verbs: {', '.join(VERBS)}")
    return VERBS[name]


def _named(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(f"lookalike.cli.{module}"), name)
    return function
