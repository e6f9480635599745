"""Ranges of the settings of a training run."""

import pytest

from command_line import train
from lookalike.cli.arguments import read_settings
from lookalike.settings.check import SettingsError
from lookalike.settings.training import needed_setting, unknown_setting


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.embedding_size=0", "expected greater than or equal to 1"),
        ("model.embedding_size=1.5", "expected a valid integer"),
        ("model.embedding_size=[1]", "expected a valid integer"),
        ("model.trainable=[]", "at least 1 item"),
        ("model.trainable=layer4", "expected a valid list"),
        ("model.mean=[0.5,0.5]", "at least 3 items"),
        ("model.std=[0.5,0,0.5]", "expected greater than 0"),
        ("model.bn_neck=perhaps", "expected a valid boolean"),
        ("model.pooling=max", "expected 'avg' or 'gem'"),
        ("trainer.batch_size=1", "expected greater than or equal to 2"),
        ("trainer.max_epochs=0", "expected greater than or equal to 1"),
        ("trainer.max_epochs=", "expected a valid integer"),
        ("trainer.learning_rate=0", "expected greater than 0"),
        ("trainer.learning_rate=inf", "expected a finite number"),
        ("trainer.learning_rate=nan", "expected a finite number"),
        ("trainer.warmup_share=1", "expected less than 1"),
        ("trainer.workers=-1", "expected greater than or equal to 0"),
        ("trainer.device=tpu", "expected 'auto', 'cpu' or 'cuda'"),
        ("loss.margin_degrees=200", "expected less than 180"),
        ("loss.margin_degrees=0", "expected greater than 0"),
        ("loss.name=arcfase", "expected 'arcface', .*choose it by loss="),
        ("pixels.height=4", "expected greater than or equal to 8"),
        ("pixels.resize=squash", "expected 'stretch', 'crop' or 'pad'"),
        ("pixels.interpolation=nearest", "expected 'area', 'bilinear', 'bicubic' or 'lanczos'"),
        ("pixels.antialias=false", "area averaging always is: give pixels.interpolation=bilinear, bicubic or lanczos"),
        ("online.color=2", "expected less than or equal to 1"),
        ("augment.per_class=0", "expected greater than or equal to 1"),
        ("data.validation_share=1", "expected less than 1"),
        ("seed=-1", "expected greater than or equal to 0"),
        ("seed=4294967296", "expected less than 4294967296"),
        ("resume=maybe", "expected 'auto' or 'never'"),
        ("logger.csv=reports", "expected a valid dictionary"),
    ],
)
def test_a_value_out_of_range_is_refused(setting: str, message: str) -> None:
    name = setting.partition("=")[0].replace(".", r"\.")
    with pytest.raises(SettingsError, match=rf"^{name}(\.\d)?[:=].*{message}") as caught:
        train(setting)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", ["2024", "true", "[x]", "fruits, all (2)", "été", "a.b", "${x}"])
def test_a_run_may_have_any_name(run: str) -> None:
    assert train(f"run={run}").run == run


@pytest.mark.parametrize("run", ["a/b", "../a", ".a", "", " a", "a\\b"])
def test_but_none_that_leads_elsewhere(run: str) -> None:
    with pytest.raises(SettingsError, match=r"^run=.*: expected a name without slashes"):
        train(f"run={run}")


def test_a_logger_needs_all_its_settings() -> None:
    with pytest.raises(SettingsError, match=r"^logger\.mlflow\.uri: needs a value: give logger\.mlflow\.uri="):
        train("logger=none", "logger.mlflow.experiment=x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["logger=csv", "logger.csv.foldr=x"],
            r"^logger\.csv\.foldr: unknown setting; did you mean folder\?; known",
        ),
        (["logger.tensorbord.folder=x"], r"^logger\.tensorbord: unknown setting; did you mean tensorboard\?"),
        (
            ["logger=none", "logger.wandb.projct=x"],
            r"^logger\.wandb\.projct: unknown setting; .*; logger\.wandb\.project: needs a value",
        ),
    ],
)
def test_the_settings_of_a_logger_are_checked(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        train(*arguments)


def test_what_is_said_of_a_setting() -> None:
    assert unknown_setting("a.hight", ["height", "width"]) == (
        "a.hight: unknown setting; did you mean height?; known here: height, width"
    )
    assert needed_setting("a.b") == "a.b: needs a value: give a.b=..."


def test_how_images_are_scaled_is_the_usual_way_unless_asked_for() -> None:
    assert (train().pixels.interpolation, train().pixels.antialias) == (None, None)
    asked = train("pixels.interpolation=bicubic", "pixels.antialias=false").pixels
    assert (asked.interpolation, asked.antialias) == ("bicubic", False)
    assert train("pixels.interpolation=area", "pixels.antialias=true").pixels.antialias


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
@pytest.mark.parametrize(
    ("given", "splits"),
    [
        ("[train]", ["train"]),
        ("train", ["train"]),
        ("[train,validation]", ["train", "validation"]),
        ("[VAL, Training]", ["train", "validation"]),
        ("[train,valid,train]", ["train", "validation"]),
    ],
)
def test_a_bundle_takes_along_training_images_or_those_of_validation_too(
    verb: str, given: str, splits: list[str]
) -> None:
    gallery = read_settings(verb, [f"gallery.include={given}"]).gallery
    assert (gallery.include, gallery.validation) == (splits, len(splits) == 2)
    assert read_settings(verb, []).gallery.include == ["train"]


@pytest.mark.parametrize("given", ["[validation]", "[]", "[train,test]", "[train,validation,test]", "all", "[train,3]"])
def test_no_other_splits_join_a_gallery(given: str) -> None:
    shown = given if given.startswith("[") else f"[{given}]"
    with pytest.raises(SettingsError) as caught:
        train(f"gallery.include={given}")
    expected = "expected [train] or [train,validation] (also val, valid)"
    assert str(caught.value) == f"gallery.include={shown}: {expected}"
    with pytest.raises(SettingsError, match=r"^include: unknown setting; did you mean gallery\.include\?"):
        train(f"include={given}")
