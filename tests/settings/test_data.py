"""The settings of a data set: off unless they are given, and what a bundle keeps of them."""

import pytest
from pydantic import ValidationError

from command_line import NEEDED, train
from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import VERBS
from lookalike.settings.check import SettingsError, check
from lookalike.settings.data import Columns, Data, HeldOut
from lookalike.settings.training import Train


def test_every_verb_has_data_but_those_of_photographs_alone() -> None:
    without = {name for name, verb in VERBS.items() if "data" not in verb.settings_type.model_fields}
    assert {name for name in without if not name.startswith("gallery ")} == {
        "completion",
        "doctor",
        "export",
        "inspect",
        "predict",
        "pull",
        "push",
        "serve",
    }


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if "data" in verb.settings_type.model_fields])
def test_every_verb_with_data_takes_columns_images_and_a_division(verb: str) -> None:
    asked = ["data.columns.label=individual_id", "data.images=photos", "data.split=site", "data.test_share=0.2"]
    data = read_settings(verb, [*NEEDED[verb], *asked]).data
    assert data.columns.given() == {"label": "individual_id"}
    assert (data.images, data.split, data.test_share) == ("photos", "site", 0.2)


@pytest.mark.parametrize("data", ["folder", "market1501"])
def test_what_is_new_is_off(data: str) -> None:
    plain = train(f"data={data}").data
    assert (plain.split, plain.test_share, plain.images, plain.columns.given()) == (None, None, None, {})
    assert train("data.columns.label=null", "data.split=null").data.columns.given() == {}


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("data.split=sites", r"^data\.split=sites: expected 'individual', 'site', 'date', 'scene' or 'stratified'$"),
        ("data.test_share=1", r"^data\.test_share=1: expected less than 1$"),
        (
            "data.columns.lable=x",
            r"^data\.columns\.lable: unknown setting; did you mean label\?; known here: path",
        ),
        ("data.columns=x", r"^data\.columns=x: expected a valid dictionary"),
    ],
)
def test_what_is_out_of_range_is_told(setting: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        train(setting)


def test_columns_need_not_all_be_named() -> None:
    assert check(Columns, {"camera": "site"}).given() == {"camera": "site"}


def test_a_bundle_keeps_how_it_was_divided_and_nothing_else() -> None:
    kept = HeldOut.model_validate({"root": "x", "validation_share": 0.2, "seed": 3, "split": "date", "test_share": 0.1})
    assert kept.model_dump() == {"validation_share": 0.2, "seed": 3, "split": "date", "test_share": 0.1}
    assert HeldOut.model_validate({"validation_share": 0.2}).split is None, "bundles of before"
    assert [HeldOut().any, HeldOut(test_share=0.1).any, HeldOut(split="site").any] == [False, True, False]
    for wrong in (
        {"split": "sites"},
        {"test_share": 1.0},
        {"validation_share": -0.1},
        {"validation_share": 1},
        {"seed": -1},
        {"seed": 2**32},
    ):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            HeldOut.model_validate(wrong)


def test_training_takes_them_from_one_place() -> None:
    assert Train.model_fields["data"].annotation is type(train().data)


@pytest.mark.parametrize("name", HeldOut.model_fields)
def test_what_is_held_out_has_the_ranges_of_the_settings(name: str) -> None:
    held_out, data = HeldOut.model_fields[name], Data.model_fields[name]
    assert (held_out.annotation, held_out.metadata) == (data.annotation, data.metadata)
