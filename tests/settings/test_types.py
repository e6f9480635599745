"""How the text of the command line becomes values."""

import pytest

from command_line import train
from lookalike.cli.arguments import read_settings
from lookalike.errors import LookalikeError
from lookalike.settings.check import SettingsError, check
from lookalike.settings.types import Settings, split_of


def test_null_means_no_value_only_where_there_may_be_none() -> None:
    assert train("data.root=null", "run=null", "trainer.threads=null", "model.mean=null").data.root is None
    assert read_settings("predict", ["bundle=b", "image=null"]).image == "null"
    assert train("experiment=fruits", "data.root=null").data.root is None


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["model.trainable=[layer4,head]"], ["layer4", "head"]),
        (["model.trainable=[blocks.5, 'conv_head' ,\"head\"]"], ["blocks.5", "conv_head", "head"]),
        (["model.trainable=[all]"], ["all"]),
    ],
)
def test_lists(arguments: list[str], value: list[str]) -> None:
    assert train(*arguments).model.trainable == value


def test_numbers_and_switches_are_read_from_text() -> None:
    settings = train("model.mean=[0.1,.2,1]", "trainer.learning_rate=1e-4", "model.bn_neck=true", "online.flip=False")
    assert (settings.model.mean, settings.trainer.learning_rate) == ([0.1, 0.2, 1.0], 1e-4)
    assert (settings.model.bn_neck, settings.online.flip) == (True, False)


@pytest.mark.parametrize("verb", ["eval", "report"])
def test_a_split_has_the_names_that_its_folder_may_have(verb: str) -> None:
    for name in ("val", "valid", "VAL", "Validation"):
        assert read_settings(verb, ["bundle=b", f"split={name}"]).split == split_of(name) == "validation"
    assert read_settings(verb, ["bundle=b", "split=TEST"]).split == split_of("TEST") == "test"
    with pytest.raises(SettingsError, match=r"^split=night: expected 'train', 'validation' or 'test'$"):
        read_settings(verb, ["bundle=b", "split=night"])
    with pytest.raises(LookalikeError, match=r"^split=5: expected train, validation \(also val, valid\) or test$"):
        split_of(5)  # type: ignore[arg-type]


class Example(Settings):
    number: float | None
    text: str
    names: list[str] | None
    either: list[int] | str


def example(**values: object) -> Example:
    return check(Example, {"number": 1, "text": "t", "names": None, "either": "e", **values})


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"number": "null", "text": "null", "names": "null"}, (None, "null", None)),
        ({"number": " 1.5 ", "names": "[a, 'b' ,\"c\"]"}, (1.5, "t", ["a", "b", "c"])),
        ({"names": "[]", "text": "[a]"}, (1.0, "[a]", [])),
        ({"names": "[,]", "text": "???"}, (1.0, "???", [])),
        ({"names": ["[a]", "null"]}, (1.0, "t", ["[a]", "null"])),
    ],
)
def test_text_becomes_what_the_setting_asks_for(given: dict[str, object], values: tuple[object, ...]) -> None:
    settings = example(**given)
    assert (settings.number, settings.text, settings.names) == values


def test_a_list_is_read_where_one_may_stand() -> None:
    assert (example(either="[1,2]").either, example(either="1,2").either) == ([1, 2], "1,2")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", float("nan"), float("inf")])
def test_numbers_are_finite(value: object) -> None:
    with pytest.raises(SettingsError, match=r"^number=.*: expected a finite number"):
        example(number=value)


def test_no_other_names_and_no_change_afterwards() -> None:
    with pytest.raises(SettingsError, match=r"^txt: unknown setting; did you mean text\?; known here: number, text"):
        example(txt=1)
    settings = example()
    with pytest.raises(ValueError, match="frozen"):
        settings.text = "x"
