"""The settings of the actions of a gallery: text from a command line, values from Python, and what is refused."""

import pytest

from command_line import NEEDED
from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import VERBS
from lookalike.settings.check import SettingsError

ACTIONS = [verb for verb in VERBS if verb.startswith("gallery ")]


def test_what_is_off_unless_it_is_given() -> None:
    add = read_settings("gallery add", ["gallery=g", "images=i"])
    assert (add.label, add.camera, add.columns, add.note, add.bundle) == (None, None, {}, "", None)
    assert (add.all_or_nothing, add.keep_copies, add.device, add.precision) == (False, False, "auto", "auto")
    assert read_settings("gallery log", ["gallery=g"]).most == 20
    listed = read_settings("gallery list", ["gallery=g"])
    assert (listed.label, listed.at) == (None, None)
    create = read_settings("gallery create", ["gallery=g"])
    assert (create.bundle, create.model, create.pixels) == (None, None, None)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_says_which_gallery(action: str) -> None:
    assert read_settings(action, [*NEEDED[action], "gallery=~"]).gallery != "~", "a path"
    with pytest.raises(SettingsError, match=r"^gallery=: expected a path, found an empty text"):
        read_settings(action, [*NEEDED[action], "gallery="])


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [("7", [7]), ("[7]", [7]), ("[7,8, 9]", [7, 8, 9]), ("07", [7])],
)
@pytest.mark.parametrize("action", ["move", "remove", "forget"])
def test_one_number_or_several(action: str, typed: str, numbers: list[int]) -> None:
    verb = f"gallery {action}"
    needed = [argument for argument in NEEDED[verb] if not argument.startswith("image=")]
    assert read_settings(verb, [*needed, f"image={typed}"]).image == numbers


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("Kiwi", ["Kiwi"]),
        ("Kiwi, green", ["Kiwi, green"]),
        ("[Kiwi,Pear]", ["Kiwi", "Pear"]),
        ('[Kiwi,"Kiwi, green"]', ["Kiwi", "Kiwi, green"]),
        ("['Kiwi', \"Kiwi, green\"]", ["Kiwi", "Kiwi, green"]),
        ("O'Brien", ["O'Brien"]),
        ('["O\'Brien","a, b"]', ["O'Brien", "a, b"]),
    ],
)
def test_one_label_or_several_also_with_commas(typed: str, labels: list[str]) -> None:
    assert read_settings("gallery merge", ["gallery=g", "to=x", f"labels={typed}"]).labels == labels


def test_columns_are_any_names_and_plain_values() -> None:
    arguments = ["columns.shelf=A3", "columns.weight=2.5", "columns.empty=null", "columns.a b=x"]
    add = read_settings("gallery add", [*NEEDED["gallery add"], *arguments])
    assert add.columns == {"shelf": "A3", "weight": "2.5", "empty": "null", "a b": "x"}
    assert read_settings("gallery add", [*NEEDED["gallery add"], "columns={}"]).columns == {}


def test_filters_are_one_value_or_several() -> None:
    arguments = ["where.label=[Kiwi,Pear]", "where.shelf=A3", "unless.camera=3"]
    settings = read_settings("predict", ["image=i", "gallery=g", *arguments])
    assert settings.where == {"label": ["Kiwi", "Pear"], "shelf": "A3"}
    assert settings.unless == {"camera": "3"}
    assert read_settings("predict", ["image=i", "where={}", "unless={}"]).where == {}


@pytest.mark.parametrize(
    ("verb", "argument", "text"),
    [
        ("add", "camera=door", r"^camera=door: expected a whole number: keep a name as a column, columns\.place=door"),
        ("add", "camera=1.5", r"^camera=1\.5: expected a whole number"),
        ("add", "label=", r"^label=: string should have at least 1 character"),
        (
            "add",
            "columns=x",
            r"^columns=x: expected the column, too: columns\.<column>=<value>, such as columns\.shelf=x",
        ),
        ("add", "all_or_nothing=perhaps", r"^all_or_nothing=perhaps: expected a valid boolean"),
        ("add", "keep_copys=true", r"^keep_copys: unknown setting; did you mean keep_copies\?"),
        ("add", "images=https://host/a.jpg", r"^images=https://host/a\.jpg: an address, and addresses are not fetched"),
        ("add", "precision=int8", r"^precision=int8: expected 'auto', 'float32' or 'bf16'"),
        ("rename", "to=", r"^to=: string should have at least 1 character"),
        ("rename", "label=", r"^label=: string should have at least 1 character"),
        ("merge", "labels=[]", r"^labels=\[\]: list should have at least 1 item"),
        ("merge", "labels=", r"^labels: expected a value, got an empty text"),
        ("move", "image=[]", r"^image=\[\]: list should have at least 1 item"),
        ("move", "image=", r"^image: expected a value, got an empty text"),
        ("move", "image=0", r"^image\.0=0: expected greater than or equal to 1"),
        ("move", "image=first", r"^image\.0=first: expected a valid integer"),
        ("remove", "image=[1,x]", r"^image\.1=x: expected a valid integer"),
        ("forget", "source=", r"^source=: string should have at least 1 character"),
        ("undo", "change=0", r"^change=0: expected greater than or equal to 1"),
        ("undo", "change=last", r"^change=last: expected a valid integer"),
        ("list", "at=-1", r"^at=-1: expected greater than or equal to 0"),
        ("log", "most=0", r"^most=0: expected greater than or equal to 1"),
        ("export", "output=", r"^output=: expected a path, found an empty text"),
        ("import", "input=", r"^input=: expected a path, found an empty text"),
        ("create", "model=resnet19", r"^model=resnet19: no such option; did you mean resnet18"),
        ("create", "model.weights=none", r"model\.weights=none: random weights are of no use without training"),
        ("verify", "label=x", r"^label: unknown setting"),
    ],
)
def test_what_is_out_of_range_is_named(verb: str, argument: str, text: str) -> None:
    given = [*NEEDED[f"gallery {verb}"], *(["model=efficientnet_lite0"] if argument.startswith("model.") else [])]
    with pytest.raises(ValueError, match=text):
        read_settings(f"gallery {verb}", [*given, argument])


def test_a_gallery_is_of_a_bundle_or_of_a_network() -> None:
    with pytest.raises(SettingsError, match=r"^bundle=b: has a network and pixels of its own: leave out model and pix"):
        read_settings("gallery create", ["gallery=g", "bundle=b", "model=efficientnet_lite0"])
    with pytest.raises(SettingsError, match=r"model\.embedding_size=64: is of training, and an untrained model gives"):
        read_settings("gallery create", ["gallery=g", "model=efficientnet_lite0", "model.embedding_size=64"])
    assert read_settings("gallery create", ["gallery=g", "model=efficientnet_lite2"]).model.backbone is not None
