"""Wrong settings are named, all at once, with the nearest right ones."""

import re

import pytest

from command_line import GROUPS, NEEDED, train
from lookalike.cli.arguments import read_grid, read_settings
from lookalike.cli.verbs import VERBS
from lookalike.errors import LookalikeError
from lookalike.settings.check import SettingsError, check, flat
from lookalike.settings.compose import compose
from lookalike.settings.training import Train


@pytest.mark.parametrize(
    ("verb", "name", "nearest"),
    [
        ("train", "sed", "seed"),
        ("train", "modle", "model"),
        ("train", "data.rooot", "root"),
        ("train", "pixels.hight", "height"),
        ("train", "augment.per_clas", "per_class"),
        ("train", "online.crop_aera", "crop_area"),
        ("train", "model.embeding_size", "embedding_size"),
        ("train", "quality.acuracy", "accuracy"),
        ("train", "loss.margin_degree", "margin_degrees"),
        ("train", "trainer.max_epoch", "max_epochs"),
        ("train", "logger.mlflow.experimnt", "experiment"),
        ("train", "logger.mlflo.uri", "mlflow"),
        ("predict", "imag", "image"),
        ("predict", "hydra.run.dir", ""),
        ("predict", "a b", ""),
        ("eval", "splitt", "split"),
        ("embed", "data.validation_shar", "validation_share"),
        ("manifest", "chek", "check"),
        ("augment", "per_clas", "per_class"),
        ("demo", "data.root.x.y", ""),
    ],
)
def test_a_misspelt_setting_is_named_with_its_nearest(verb: str, name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(verb, [*NEEDED[verb], f"{name}=1"])
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(name.partition(".")[0])
    if nearest:
        assert f"unknown setting; did you mean {nearest}" in text
        assert "known here: " in text


@pytest.mark.parametrize(
    ("verb", "argument", "meant"),
    [
        ("train", "epochs=3", "trainer.max_epochs"),
        ("train", "--epochs=3", "trainer.max_epochs"),
        ("train", "lr=0.1", "trainer.learning_rate"),
        ("train", "batch_size=8", "trainer.batch_size"),
        ("train", "--batch-size=8", "trainer.batch_size"),
        ("train", "trainer.lr=0.1", "trainer.learning_rate"),
        ("train", "trainer.epochs=3", "trainer.max_epochs"),
        ("train", "num_workers=0", "trainer.workers"),
        ("train", "device=cuda", "trainer.device"),
        ("train", "height=9", "pixels.height"),
        ("train", "arch=resnet18", "model.backbone"),
        ("train", "margin_degrees=3", "loss.margin_degrees"),
        ("eval", "root=x", "data.root"),
        ("eval", "backbone=x", "model.backbone"),
        ("predict", "top_k=3", "k"),
        ("compare", "epochs=3", "trainer.max_epochs"),
        ("tune", "lr=3", "trainer.learning_rate"),
    ],
)
def test_a_setting_of_another_group_or_program_is_led_to_ours(verb: str, argument: str, meant: str) -> None:
    read = read_grid if verb == "compare" else read_settings
    with pytest.raises(SettingsError, match=rf"unknown setting; did you mean {re.escape(meant)}\?; known here: "):
        read(verb, [*NEEDED[verb], argument])


def test_the_hint_survives_a_loss_that_does_not_exist() -> None:
    with pytest.raises(SettingsError, match=r"epochs: unknown setting"):
        check(Train, {**compose("train", []), "epochs": 3, "loss": {"name": "nonsense"}})


def test_a_name_in_a_group_is_not_looked_for_in_others() -> None:
    with pytest.raises(SettingsError, match=r"model\.name: unknown setting(?!.*did you mean loss)"):
        read_settings("train", [*NEEDED["train"], "model.name=x"])


def test_every_group_has_a_misspelt_setting_above() -> None:
    marks = test_a_misspelt_setting_is_named_with_its_nearest.pytestmark[0].args[1]
    groups = {name.partition(".")[0] for verb, name, _ in marks if verb == "train" and "." in name}
    assert groups == set(GROUPS) - {"experiment", "tune"}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"^3 wrong settings:\n") as caught:
        train("seed=-1", "trainer.batch_size=0", "pixels.hight=9")
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "seed=-1",
        "pixels.hight",
        "trainer.batch_size=0",
    ]


def test_settings_cannot_be_changed_and_check_takes_plain_values() -> None:
    settings = check(
        VERBS["manifest"].settings_type,
        {
            "data": {
                **{"root": "x", "validation_share": 0, "seed": 0},
                **{"archive": None, "exclude": None, "keep_copies": False},
                **{"split": None, "test_share": None, "images": None, "columns": {}},
            },
            "output": "o",
            "check": True,
        },
    )
    with pytest.raises(ValueError, match="frozen"):
        settings.output = "p"
    with pytest.raises(SettingsError, match=r"^data: needs a value"):
        check(VERBS["manifest"].settings_type, {"output": "o", "check": True})


def test_the_number_of_problems_shown_is_limited() -> None:
    with pytest.raises(SettingsError, match=r"^25 wrong settings:\n") as caught:
        train(*(f"x{number}=1" for number in range(25)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "  ... and 5 more"


@pytest.mark.parametrize(
    ("verb", "argument", "message"),
    [
        ("train", "loss.margin_degrees=x", r"^loss\.margin_degrees=x: expected a valid number"),
        ("train", "data=x", r"^data=x: no such option"),
        ("train", "trainer.batch_size=null", r"^trainer\.batch_size: needs a value: give trainer\.batch_size=\.\.\.$"),
        ("eval", "output=a.txt", r"^output=a\.txt: expected a file ending in \.json$"),
        ("report", "output=a.json", r"^output=a\.json: expected a file ending in \.html$"),
        ("compare", "name=a/b", r"^name=a/b: expected a name without slashes"),
        (
            "tune",
            "tune.loss.margin_degrees.lo=1",
            r"^tune\.loss\.margin_degrees\.lo: unknown setting.*known here: low, h",
        ),
        ("tune", "tune.trainer.batch_size.hi=1", r"^tune\.trainer\.batch_size\.hi: unknown setting.*: low, high, log"),
        ("tune", "loss.lo=1", r"^loss\.lo: unknown setting.*known here: margin_degrees, scale, name"),
        ("predict", "k.x=1", r"^k=\{'x': '1'\}: expected a valid integer"),
    ],
)
def test_what_is_said_of_one_setting(verb: str, argument: str, message: str) -> None:
    with pytest.raises(LookalikeError, match=message) as caught:
        read_settings(verb, [*NEEDED[verb], argument])
    assert "\n" not in str(caught.value)


def test_nested_settings_become_dotted_names() -> None:
    assert flat({"a": 1, "b": {"c": [1, {"d": 2}], "e": {"f": None}}, "g": {}}) == {
        "a": 1,
        "b.c": [1, {"d": 2}],
        "b.e.f": None,
    }
    assert flat({"a": {"b": 1}}, "x.") == {"x.a.b": 1}


def test_dotted_names_of_a_run_can_be_given_again() -> None:
    settings = train("experiment=fruits", "loss=circle", "model.mean=[0.1,0.2,0.3]", "logger=csv")
    again = compose("train", [("logger", "none"), ("loss", "circle"), *flat(settings.model_dump()).items()])
    assert check(Train, again) == settings
