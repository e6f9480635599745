"""What a search may draw."""

import pytest

from command_line import GROUPS
from lookalike.cli.arguments import read_settings
from lookalike.settings.check import SettingsError, check
from lookalike.settings.search_space import Knob, Space


@pytest.mark.parametrize(
    ("values", "samples"),
    [
        ({"low": 1, "high": 2}, [1.0, 2.0, 1.37]),
        ({"low": 0.001, "high": 0.1, "log": True}, [0.001, 0.1, 0.001 + 0.37 * 0.099]),
        ({"low": 1, "high": 4, "whole": True}, [1, 4]),
        ({"low": -3, "high": 0}, [-3.0, 0.0, -3 + 0.37 * 3]),
        ({"choices": ["a", 1, 0.5, True]}, ["a", 1, 0.5, True]),
    ],
)
def test_samples_are_the_ends_or_the_choices(values: dict[str, object], samples: list[object]) -> None:
    drawn = check(Knob, values).samples()
    assert drawn == pytest.approx(samples) if "low" in values else drawn == samples
    assert [type(value) for value in drawn] == [type(value) for value in samples]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"low": 1},
        {"high": 1},
        {"low": 2, "high": 1},
        {"low": 1, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": -1, "high": 1, "log": True},
        {"low": 0.5, "high": 2, "whole": True},
        {"low": 0, "high": 2.5, "whole": True},
        {"choices": []},
        {"choices": ["a"], "low": 1},
        {"choices": ["a"], "low": 1, "high": 2},
    ],
    ids=str,
)
def test_a_range_that_nothing_can_be_drawn_from_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"needs low < high \(above 0 with log, without fractions with whole\), or"):
        check(Knob, values)


def test_knobs_go_by_their_dotted_names() -> None:
    space = check(Space, {"loss": {"scale": {"low": 1, "high": 2}}, "model": {"pooling": {"choices": ["avg", "gem"]}}})
    assert {name: knob.samples()[:2] for name, knob in space.knobs().items()} == {
        "loss.scale": [1.0, 2.0],
        "model.pooling": ["avg", "gem"],
    }


@pytest.mark.parametrize("nothing", [None, "null", "none", {}])
def test_a_group_may_be_left_alone(nothing: object) -> None:
    space = check(Space, {"loss": nothing, "trainer": {"batch_size": {"choices": [8]}}})
    assert list(space.knobs()) == ["trainer.batch_size"]


@pytest.mark.parametrize("option", GROUPS["tune"])
def test_what_stands_under_configs_can_be_drawn(option: str) -> None:
    knobs = read_settings("tune", [f"tune={option}"]).tune.knobs()
    assert knobs
    assert all(len(knob.samples()) >= 2 for knob in knobs.values())


def test_a_range_can_be_typed() -> None:
    typed = ["tune.loss=none", "tune.trainer.weight_decay.low=1e-5", "tune.trainer.weight_decay.high=0.1"]
    knobs = read_settings("tune", ["tune=loss", *typed, "tune.online.color.choices=[0,0.2]"]).tune.knobs()
    assert set(knobs) >= {"trainer.weight_decay", "online.color"}
    assert not [name for name in knobs if name.startswith("loss.")]
    assert (knobs["trainer.weight_decay"].low, knobs["trainer.weight_decay"].high) == (1e-5, 0.1)
    assert [float(value) for value in knobs["online.color"].samples()] == [0, 0.2]


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^tune\.data: unknown setting; .*known here: loss, trainer, model"):
        read_settings("tune", ["tune.data.root.choices=[a,b]"])
