"""From the files under `configs/` to plain settings; groups and their options."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import OmegaConf

from command_line import CONFIGS, GROUPS, NEEDED, train, with_group
from lookalike.cli.arguments import read_grid, read_settings
from lookalike.settings.compose import UsageError, compose, config_folder, config_groups


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.*")), ids=lambda file: str(file.relative_to(CONFIGS)))
def test_every_file_under_configs_is_composed_and_valid(file: Path) -> None:
    assert "${" not in file.read_text(), "the command line is laid over the composed values, too late to interpolate"
    group, option = file.parent.name, file.stem
    if file.suffix == ".json":
        settings = read_settings("predict", ["--config", str(file)])
        assert settings.model_dump().items() >= json.loads(file.read_text()).items()
    elif file.parent == CONFIGS:
        assert read_settings(option, NEEDED[option]) is not None
    else:
        missing = ["model.backbone=resnet18"] if option == "timm" else []
        settings = with_group(group, f"{group}={option}", *missing).model_dump()
        assert option.removesuffix("_many_labels") == settings["loss"]["name"] if group == "loss" else True
        assert list(settings["logger"]) == ([] if option == "none" else [option]) if group == "logger" else True
        assert settings["run"] == option if group == "experiment" else True


def test_an_experiment_chooses_groups_and_the_command_line_wins() -> None:
    plain, fruits = train(), train("experiment=fruits")
    assert (plain.augment.per_class, fruits.augment.per_class) == (None, 120)
    assert (fruits.online.flip, fruits.trainer.batch_size, fruits.data.root) == (False, 8, "data")
    changed = train("experiment=fruits", "augment=none", "trainer.batch_size=16", "run=null", "loss=triplet")
    assert (changed.augment.per_class, changed.trainer.batch_size, changed.run) == (None, 16, None)
    assert (changed.loss.name, changed.trainer.max_epochs) == ("triplet", fruits.trainer.max_epochs)


def size(*arguments: str, verb: str = "train") -> tuple[int, int]:
    pixels = read_settings(verb, list(arguments)).pixels
    return pixels.height, pixels.width


@pytest.mark.parametrize("verb", ["train", "compare", "tune", "eval"])
def test_a_model_brings_the_size_of_its_images_unless_one_is_given(verb: str) -> None:
    assert size(verb=verb) == size("model=efficientnet_lite0", verb=verb) == (224, 224)
    assert size("model=efficientnet_lite1", verb=verb) == (240, 240)
    assert size("model=efficientnet_lite2", verb=verb) == (260, 260)
    for given in (["pixels=square224"], ["--pixels", "square224"], ["pixels.height=224", "pixels.width=224"]):
        assert size("model=efficientnet_lite2", *given, verb=verb) == (224, 224), "also where it is the default's"
        assert size(*given, "model=efficientnet_lite2", verb=verb) == (224, 224), "in whatever order"
    assert size("model=efficientnet_lite2", "pixels.height=128", verb=verb) == (128, 260)


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
def test_an_experiment_that_says_a_size_wins_over_the_model_and_the_command_line_over_both(verb: str) -> None:
    market, lite = "experiment=market1501", "model=efficientnet_lite2"
    assert size(market, verb=verb) == size(market, lite, verb=verb) == size(lite, market, verb=verb) == (256, 128)
    assert size(market, lite, "pixels=square240", verb=verb) == (240, 240)
    assert size(market, lite, "pixels.width=96", verb=verb) == (256, 96)
    assert size("experiment=fruits", lite, verb=verb) == (260, 260), "it says none"
    chosen = read_settings(verb, [market, lite])
    assert (chosen.model.backbone, chosen.model.trainable) == ("tf_efficientnet_lite2", ["all"])


def test_the_model_of_an_experiment_and_of_a_file_of_settings_brings_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.yaml").write_text("model: efficientnet_lite2\n")
    file = ["--config", str(tmp_path / "file.yaml")]
    assert size(*file) == (260, 260)
    assert size(*file, "model=efficientnet_lite1") == (240, 240)
    (tmp_path / "file.yaml").write_text("model: efficientnet_lite2\npixels:\n  height: 64\n")
    assert size(*file) == (64, 260)
    folder = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    monkeypatch.setattr("lookalike.settings.compose.config_folder", lambda: folder)
    (folder / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: efficientnet_lite2\n"
    )
    assert size("experiment=mine") == (260, 260)
    assert size("experiment=mine", "model=efficientnet_lite1") == (240, 240)
    assert size("experiment=mine", "pixels=person256x128") == (256, 128)


def test_every_run_of_a_grid_has_the_size_of_its_model() -> None:
    _, runs = read_grid("compare", ["model=efficientnet_lite0,efficientnet_lite2", "seeds=0"])
    sizes = [(point["model"], run.pixels.height) for point, run in runs]
    assert sizes == [("efficientnet_lite0", 224), ("efficientnet_lite2", 260)]
    _, runs = read_grid("compare", ["model=efficientnet_lite0,efficientnet_lite2", "seeds=0", "pixels=square240"])
    assert [run.pixels.height for _, run in runs] == [240, 240]


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_option_lists_the_options(group: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_group(group, f"{group}=zzz")
    assert str(caught.value) == f"{group}=zzz: no such option; options: {', '.join(GROUPS[group])}"
    near = GROUPS[group][-1]
    with pytest.raises(UsageError, match=rf"{group}={near}x: no such option; did you mean .*{near}"):
        with_group(group, f"{group}={near}x")
    with pytest.raises(UsageError, match=f"{group}=null: no such option"):
        with_group(group, f"{group}=null")


@pytest.mark.parametrize(
    ("choice", "loggers"),
    [
        ("[csv,mlflow]", ["csv", "mlflow"]),
        ("[csv, mlflow]", ["csv", "mlflow"]),
        ("csv,tensorboard", ["csv", "tensorboard"]),
        ("[wandb]", ["wandb"]),
        ("none", []),
        ("[none]", []),
    ],
)
def test_several_loggers_or_none(choice: str, loggers: list[str]) -> None:
    assert sorted(train(f"logger={choice}").logger) == loggers
    assert all(train(f"logger={choice}").logger.values())


@pytest.mark.parametrize("choice", ["[csv,mflow]", "[]", "", "[csv", "csv]x"])
def test_an_unknown_logger_among_several(choice: str) -> None:
    if choice == "[csv":  # a forgotten bracket is forgiven
        assert list(train(f"logger={choice}").logger) == ["csv"]
        return
    with pytest.raises(UsageError, match=r"^logger=.*: no such option.*options: csv, mlflow, none"):
        train(f"logger={choice}")


def test_values_are_laid_over_the_groups_as_they_are() -> None:
    overrides = [("data.root", "${oc.env:HOME}, [all]"), ("model.trainable", ["a", "${"]), ("new.group.x", 1)]
    values = compose("train", [("loss", "triplet"), *overrides])
    plain = compose("train", [("loss", "triplet")])
    assert values.pop("new") == {"group": {"x": 1}}
    assert (values["data"]["root"], values["model"]["trainable"]) == ("${oc.env:HOME}, [all]", ["a", "${"])
    values["data"]["root"], values["model"]["trainable"] = plain["data"]["root"], plain["model"]["trainable"]
    assert values == plain


def test_a_later_override_wins_and_a_group_may_stand_behind_its_settings() -> None:
    overrides = [("loss", "arcface"), ("loss.margin_distance", "0.5"), ("seed", 1), ("seed", 2), ("loss", "triplet")]
    values = compose("train", overrides)
    assert (values["seed"], values["loss"]["name"], values["loss"]["margin_distance"]) == (2, "triplet", "0.5")


def test_a_setting_below_a_plain_value_replaces_it() -> None:
    assert compose("predict", [("k", 3), ("k.a.b", 4)])["k"] == {"a": {"b": 4}}


def test_what_has_no_value_is_left_out_and_three_question_marks_may_be_typed() -> None:
    assert not {"bundle", "image"} & set(compose("predict", []))
    assert compose("predict", [("image", "???")])["image"] == "???"
    assert "backbone" not in compose("train", [("model", "timm")])["model"]


@pytest.mark.parametrize("verb", ["train", "eval", "predict"])
def test_the_groups_of_a_verb_are_its_folders_of_files(verb: str) -> None:
    wanted = {"train": set(GROUPS) - {"tune"}, "eval": {"data", "pixels", "model", "logger"}, "predict": set()}[verb]
    assert config_groups(verb, config_folder()) == {name: GROUPS[name] for name in wanted}


def test_a_broken_file_of_settings_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    (tmp_path / "configs" / "loss" / "arcface.yaml").write_text("name: ${nowhere}\n")
    monkeypatch.setattr("lookalike.settings.compose.config_folder", lambda: tmp_path / "configs")
    with pytest.raises(UsageError, match=r"^settings cannot be read: [^\n]*nowhere[^\n]*$"):
        compose("train", [])


def test_a_file_of_settings_that_is_changed_or_added_counts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    monkeypatch.setattr("lookalike.settings.compose.config_folder", lambda: folder)
    first = compose("predict", [])
    assert first["k"] is None
    first["k"] = 3
    assert compose("predict", [])["k"] is None, "what a caller changes is its own"
    text = (folder / "predict.yaml").read_text()
    (folder / "predict.yaml").write_text(text.replace("k: null", "k: 12"))
    assert compose("predict", [])["k"] == 12
    with pytest.raises(UsageError, match="loss=mine: no such option"):
        compose("train", [("loss", "mine")])
    shutil.copyfile(folder / "loss" / "arcface.yaml", folder / "loss" / "mine.yaml")
    assert compose("train", [("loss", "mine")])["loss"] == compose("train", [("loss", "arcface")])["loss"]


def test_a_notebook_that_has_initialised_hydra_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text("theirs: 1\nwhen: ${now:%Y}\n")
    OmegaConf.register_new_resolver("now", lambda _: "their own clock", replace=True)
    try:
        with hydra.initialize_config_dir(str(tmp_path), version_base="1.2"):
            OmegaConf.register_new_resolver("now", lambda _: "their own clock", replace=True)
            instance, base = GlobalHydra.instance(), VersionBase.instance().getbase()
            assert compose("train", [("run", "ours")])["run"] == "ours"
            with pytest.raises(UsageError, match=r"loss=nothing: no such option"):
                compose("train", [("loss", "nothing")])
            assert GlobalHydra.instance() is instance
            assert VersionBase.instance().getbase() == base
            assert hydra.compose("train") == {"theirs": 1, "when": "their own clock"}
        assert not GlobalHydra.instance().is_initialized()
    finally:
        OmegaConf.clear_resolver("now")


def test_settings_can_be_composed_in_several_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda number: compose("train", [("run", str(number))])["run"], range(12)))
    assert runs == [str(number) for number in range(12)]
    assert not GlobalHydra.instance().is_initialized()


def test_a_hydra_application_can_call_us(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("theirs: 1\n")
    (tmp_path / "app.py").write_text(
        "import hydra\n"
        "from hydra.core.hydra_config import HydraConfig\n"
        "from lookalike.cli.main import main\n"
        '@hydra.main(version_base="1.1", config_path=".", config_name="app")\n'
        "def app(cfg):\n"
        f"    assert main(['manifest', 'data.root={digits}', 'output=table.csv']) == 0\n"
        "    print('still', cfg.theirs, HydraConfig.get().job.name, hydra.utils.get_original_cwd())\n"
        "app()\n"
    )
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"still 1 app {tmp_path}" in done.stdout
