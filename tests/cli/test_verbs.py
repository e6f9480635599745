"""The table of verbs names only what there is, and all of it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import lookalike.cli
from command_line import CONFIGS, NEEDED
from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import VERBS, Verb, find_action, find_verb, gallery_actions
from lookalike.settings import checkpoints as of_checkpoints
from lookalike.settings import gallery as of_galleries
from lookalike.settings import machine as of_machines
from lookalike.settings import serving as of_services
from lookalike.settings import sharing as of_sharing
from lookalike.settings import verbs as classes
from lookalike.settings.compose import UsageError
from lookalike.settings.types import Settings


def named(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(f"lookalike.cli.{module}"), name)


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_a_verb_has_defaults_settings_a_reader_and_a_function(verb: Verb) -> None:
    assert VERBS[verb.name] is verb
    assert (CONFIGS / f"{verb.config}.yaml").is_file()
    assert issubclass(verb.settings_type, Settings)
    assert list(inspect.signature(named(verb.reader)).parameters) == ["verb", "arguments", "once"]
    assert len(inspect.signature(named(verb.function)).parameters) == 1
    assert verb.help[0].islower()
    assert not verb.help.endswith(".")


def test_every_class_of_settings_belongs_to_one_verb() -> None:
    used = [verb.settings for verb in VERBS.values()]
    assert len(set(used)) == len(used)
    made = {
        prefix + node.name
        for prefix, module in (
            ("", classes),
            ("gallery:", of_galleries),
            ("serving:", of_services),
            ("machine:", of_machines),
            ("sharing:", of_sharing),
            ("checkpoints:", of_checkpoints),
        )
        for node in ast.parse(Path(module.__file__).read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    shared = {"UntrainedModel", "Embedding"}
    shared |= {f"checkpoints:{name}" for name in ("CheckpointModel", "CheckpointPixels", "OfCheckpoint")}
    assert made | {"Train"} == {*used, *shared}, "but groups, and what several have"


def test_every_public_function_of_the_modules_of_verbs_is_a_verb() -> None:
    """But what the demo takes from `predict`, what actions of a gallery take, and `eval` of embeddings."""
    place = Path(lookalike.cli.__file__).parent
    functions = {
        f"{file.stem}:{node.name}"
        for file in place.glob("*_verb*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    shared = {f"model_verbs:{name}" for name in ("load_model", "model_to_embed", "open_gallery")}
    shared |= {"predict_verb:predict_files", "stored_verb:evaluate_embeddings"}
    assert functions - shared == {verb.function for verb in VERBS.values()}


@pytest.mark.parametrize(
    ("name", "hint"), [("trian", "; did you mean train?"), ("evaluate", "; did you mean eval?"), ("zzz", ""), ("", "")]
)
def test_an_unknown_verb_names_the_nearest_and_all(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_verb(name)
    verbs = [verb for verb in VERBS if not verb.startswith("gallery ")]
    assert str(caught.value) == f"{name}: no such verb{hint}; verbs: {', '.join([*verbs, 'gallery'])}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("renam", "gallery renam: expected an action; did you mean rename?; actions: create, add, "),
        ("label=a", "gallery label=a: expected an action; actions: "),
        ("", "gallery no action: expected an action; actions: "),
    ],
)
def test_an_unknown_action_names_the_nearest_and_all(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_action(name)
    assert str(caught.value).startswith(said)
    actions = [verb.removeprefix("gallery ") for verb in VERBS if verb.startswith("gallery ")]
    assert [verb.name for verb in gallery_actions()] == [f"gallery {action}" for action in actions]
    assert f"; actions: {', '.join(actions)}; such as lookalike gallery add gallery=<folder> im" in str(caught.value)
    assert find_action("undo") is VERBS["gallery undo"]


def test_a_verb_reads_its_settings_and_returns_its_exit_code(digits: Path, tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    assert find_verb("manifest").run([f"data.root={digits}", "--output", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 1 + 5 * 18
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "1.png").write_bytes(b"no image")
    assert find_verb("manifest").run([f"data.root={tmp_path}", f"output={table}", "check=true"]) == 1


def test_settings_are_of_the_class_in_the_table() -> None:
    for name, verb in VERBS.items():
        assert type(read_settings(name, NEEDED[name])) is verb.settings_type
