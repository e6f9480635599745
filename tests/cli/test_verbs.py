"""The table of verbs names only what there is, and all of it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import lookalike.cli
from command_line import CONFIGS, NEEDED
from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import VERBS, Verb, find_verb
from lookalike.settings import verbs as classes
from lookalike.settings.compose import UsageError
from lookalike.settings.types import Settings


def named(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(f"lookalike.cli.{module}"), name)


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_a_verb_has_defaults_settings_a_reader_and_a_function(verb: Verb) -> None:
    assert VERBS[verb.name] is verb
    assert (CONFIGS / f"{verb.name}.yaml").is_file()
    assert issubclass(verb.settings_type, Settings)
    assert list(inspect.signature(named(verb.reader)).parameters) == ["verb", "arguments"]
    assert len(inspect.signature(named(verb.function)).parameters) == 1
    assert verb.help[0].islower()
    assert not verb.help.endswith(".")


def test_every_class_of_settings_belongs_to_one_verb() -> None:
    used = [verb.settings for verb in VERBS.values()]
    assert len(set(used)) == len(used)
    tree = ast.parse(Path(classes.__file__).read_text("utf-8"))
    made = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert made | {"Train"} == {*used, "UntrainedModel"}, "a group of one of them aside"


def test_every_public_function_of_the_modules_of_verbs_is_a_verb() -> None:
    """But the one that the demo takes from `predict`."""
    place = Path(lookalike.cli.__file__).parent
    functions = {
        f"{file.stem}:{node.name}"
        for file in place.glob("*_verb*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert functions - {"model_verbs:predict_files"} == {verb.function for verb in VERBS.values()}


@pytest.mark.parametrize(
    ("name", "hint"), [("trian", "; did you mean train?"), ("evaluate", "; did you mean eval?"), ("zzz", ""), ("", "")]
)
def test_an_unknown_verb_names_the_nearest_and_all(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_verb(name)
    assert str(caught.value) == f"{name}: no such verb{hint}; verbs: {', '.join(VERBS)}"


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
