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
        name: What is typed.
        help: What it does, in a line.
        settings: Class in `settings.verbs`, or in another module there as `module:class`, that checks them.
        function: `module:function` below `lookalike.cli`: takes what `reader` gives, returns the exit code.
        reader: `module:function` below `lookalike.cli`: takes the verb, the arguments behind it, and `once`.
    """

    name: str
    help: str
    settings: str
    function: str
    reader: str = "arguments:read_settings"

    @property
    def settings_type(self) -> "type[Settings]":
        """The class of its settings."""
        module, _, name = self.settings.rpartition(":")
        kind: type[Settings] = getattr(import_module(f"lookalike.settings.{module or 'verbs'}"), name)
        return kind

    @property
    def config(self) -> str:
        """`configs/<config>.yaml` holds the defaults of its settings."""
        return self.name.replace(" ", "/")

    def run(self, arguments: list[str]) -> int:
        """Reads the settings from what was typed behind the verb, and does it; returns the exit code."""
        reader, function = (_named(place) for place in (self.reader, self.function))
        code: int = function(reader(self.name, arguments, once=True))
        return code


GALLERY = "gallery"  # the verb that has actions

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
        Verb(
            "inspect",
            "say what a checkpoint of any project holds, and what shows it",
            "checkpoints:InspectCommand",
            "inspect_verb:inspect",
        ),
        Verb("eval", "measure a bundle or a checkpoint on a split", "EvalCommand", "model_verbs:evaluate"),
        Verb(
            "report",
            "one page about a model: figures, confusions, pictures, a map of the embeddings",
            "ReportCommand",
            "model_verbs:report",
        ),
        Verb("predict", "name the nearest known images of new ones", "PredictCommand", "predict_verb:predict"),
        Verb(
            "quantize",
            "write the int8 form of a bundle, if its figures stay",
            "QuantizeCommand",
            "training_verbs:quantize",
        ),
        Verb(
            "push",
            "send a bundle to the Hugging Face Hub or into MLflow's registry",
            "sharing:PushCommand",
            "sharing_verbs:push",
        ),
        Verb(
            "pull",
            "fetch a bundle from the Hugging Face Hub or from MLflow's registry",
            "sharing:PullCommand",
            "sharing_verbs:pull",
        ),
        Verb(
            "export",
            "write a model for programs without lookalike: ONNX, OpenVINO",
            "sharing:ExportCommand",
            "export_verb:export",
        ),
        Verb("embed", "write the embeddings of any images", "EmbedCommand", "embed_verb:embed"),
        Verb(
            "serve",
            "answer programs and browsers from a gallery",
            "serving:ServeCommand",
            "serve_verb:serve",
        ),
        Verb(
            "doctor",
            "say what this machine has, what is missing, and what each extra would add",
            "machine:DoctorCommand",
            "doctor_verb:doctor",
        ),
        Verb(
            "completion",
            "write what makes bash, zsh or fish propose verbs and settings",
            "machine:CompletionCommand",
            "completion_verb:completion",
            "arguments:read_shell",
        ),
        *(
            Verb(f"{GALLERY} {action}", text, f"gallery:Gallery{action.capitalize()}", f"gallery_verbs:{function}")
            for action, function, text in (
                ("create", "create", "make an empty gallery, searched by a bundle or an untrained network"),
                ("add", "add", "enrol images: known from now on, without training"),
                ("list", "list_images", "its labels, or the images of one, now or as it was"),
                ("rename", "rename", "give a label another name"),
                ("merge", "merge", "make several labels one"),
                ("move", "move", "give single images another label"),
                ("confirm", "confirm", "call the labels of single images right, so that health doubts them no more"),
                ("remove", "remove", "take images out; undo brings them back"),
                ("forget", "forget", "delete images for good: nothing of them remains in any file"),
                ("health", "health", "labels with few images, and images that are probably called wrong"),
                ("log", "log", "the changes, with their numbers"),
                ("undo", "undo", "take a change back"),
                ("reembed", "reembed", "move it to another model, while it is searched"),
                ("suggest", "suggest", "group unknown images that show the same new thing, to be labelled and added"),
                ("verify", "verify", "compare every image with its checksums"),
                ("compact", "compact", "give back the room of what was forgotten"),
                ("export", "export", "write it into a folder of open formats"),
                ("import", "import_images", "enrol what gallery export or embed wrote"),
            )
        ),
    )
}


def find_verb(name: str) -> Verb:
    """The verb of a name.

    Raises:
        UsageError: There is none; the text names the nearest, and all.
    """
    if name not in VERBS:
        verbs = list(dict.fromkeys(verb.partition(" ")[0] for verb in VERBS))
        raise UsageError(f"{name}: no such verb{did_you_mean(name, verbs)}; verbs: {', '.join(verbs)}")
    return VERBS[name]


def gallery_actions() -> list[Verb]:
    """What the verb `gallery` does."""
    return [verb for name, verb in VERBS.items() if name.startswith(f"{GALLERY} ")]


def find_action(name: str) -> Verb:
    """The action of a gallery.

    Raises:
        UsageError: There is none; the text names the nearest, and all.
    """
    actions = {verb.name.partition(" ")[2]: verb for verb in gallery_actions()}
    if name not in actions:
        shown = name or "no action"
        raise UsageError(
            f"{GALLERY} {shown}: expected an action{did_you_mean(name, list(actions))}; actions: {', '.join(actions)}; "
            f"such as lookalike {GALLERY} add {GALLERY}=<folder> images=<folder>"
        )
    return actions[name]


def _named(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(f"lookalike.cli.{module}"), name)
    return function
