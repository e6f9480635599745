"""From the files under `configs/` to plain settings; groups and their options."""

import json
import os
import re
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
from lookalike.settings.check import SettingsError
from lookalike.settings.compose import UsageError, compose, config_folder, config_groups


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.*")), ids=lambda file: str(file.relative_to(CONFIGS)))
def test_every_file_under_configs_is_composed_and_valid(file: Path) -> None:
    assert "${" not in file.read_text(), "the command line is laid over the composed values, too late to interpolate"
    group, option = file.parent.name, file.stem
    if file.suffix == ".json":
        settings = read_settings("predict", ["--config", str(file)])
        assert settings.model_dump().items() >= json.loads(file.read_text()).items()
    elif file.parent in (CONFIGS, CONFIGS / "gallery"):
        verb = option if file.parent == CONFIGS else f"gallery {option}"
        assert read_settings(verb, NEEDED[verb]) is not None
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
    assert size("model=resnet18", verb=verb) == size("model=efficientnet_lite0", verb=verb) == (224, 224)
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


def recipe(*arguments: str, verb: str = "train") -> tuple[str | None, str, str, int | None, int, int]:
    """Preset, backbone, first trained stage, versions of an image, height, epochs."""
    settings = read_settings(verb, list(arguments))
    quality = settings.quality and settings.quality.name
    network = settings.model.backbone.removeprefix("tf_efficientnet_"), settings.model.trainable[0]
    return quality, *network, settings.online.views, settings.pixels.height, settings.trainer.max_epochs


QUICK = ("quick", "lite0", "conv_head", 4, 224, 4)
STANDARD = ("standard", "lite2", "blocks.5", 8, 320, 8)
BEST = ("best", "lite2", "blocks.5", 16, 384, 8)


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
def test_a_preset_chooses_a_recipe_with_its_pixels_versions_and_epochs(verb: str) -> None:
    assert recipe(verb=verb) == recipe("quality=standard", verb=verb) == STANDARD
    assert recipe("quality=quick", verb=verb) == recipe("--quality", "quick", verb=verb) == QUICK
    assert recipe("quality=best", verb=verb) == BEST
    assert recipe("quality=null", verb=verb) == (None, *STANDARD[1:]), "the usual recipe, by no name"
    standard = read_settings(verb, [])
    assert (standard.pixels.resize, standard.trainer.learning_rate, standard.model.weights) == ("crop", 5e-4, "package")
    assert (standard.online.crop_area, standard.trainer.batch_size) == (0.4, 32), "the rest is as it always was"


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
def test_a_model_wins_over_the_preset_and_keeps_nothing_of_it(verb: str) -> None:
    resnet18 = ("resnet18", "layer4", None, 224, 8)
    assert recipe("model=resnet18", verb=verb) == recipe("--model=resnet18", verb=verb) == (None, *resnet18)
    for given in (["quality=best", "model=resnet18"], ["model=resnet18", "quality=best"]):
        assert recipe(*given, verb=verb) == ("best", *resnet18), "what was asked for is known, and said"
    of_resnet18 = read_settings(verb, ["model=resnet18"])
    assert of_resnet18.trainer == read_settings(verb, ["trainer=default"]).trainer
    assert (of_resnet18.trainer.learning_rate, of_resnet18.pixels.resize) == (0.001, "stretch")
    assert recipe("model=efficientnet_lite2", verb=verb) == (None, "lite2", "conv_head", None, 260, 8)


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
def test_an_experiment_wins_over_the_preset_and_keeps_nothing_of_it(verb: str) -> None:
    fruits, market = ("resnet18", "layer4", None, 224, 10), ("resnet18", "all", None, 256, 60)
    for number, wanted in (
        (f"experiment={name}", figures) for name, figures in (("fruits", fruits), ("market1501", market))
    ):
        assert recipe(number, verb=verb) == (None, *wanted)
        assert (
            recipe(number, "quality=best", verb=verb) == recipe("quality=best", number, verb=verb) == ("best", *wanted)
        )
        plain, asked = (read_settings(verb, [number, *more]) for more in ([], ["quality=best"]))
        assert asked.model_copy(update={"quality": None}) == plain


def test_the_assignment_keeps_its_recipe() -> None:
    settings = train("experiment=fruits")
    trainer = {"max_epochs": 10, "batch_size": 8, "learning_rate": 0.0003, "head_learning_rate": 0.0015}
    trainer |= {
        "batches": "auto",
        "loss_learning_rate": 0.01,
        "weight_decay": 0.0001,
        "warmup_share": 0.2,
        "patience": 4,
    }
    assert settings.trainer.model_dump(include=set(trainer)) == trainer
    off = {"flip": False, "crop_area": 1.0, "color": 0.0, "erase": 0.0, "relative_size": None, "views": None}
    assert settings.online.model_dump() == off
    assert settings.pixels.model_dump(exclude_none=True) == {"height": 224, "width": 224, "resize": "stretch"}
    assert settings.model.model_dump(exclude_defaults=True) == {
        **{"backbone": "resnet18", "weights": "auto", "embedding_size": 128, "pooling": "avg", "bn_neck": False},
        **{"frozen_batch_norm": False, "trainable": ["layer4", "head"], "mean": None, "std": None},
    }
    loss = {"name": "arcface", "margin_degrees": 28.6, "scale": 10.0, "sample_classes": None}
    assert settings.loss.model_dump() == loss


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
def test_single_settings_and_groups_win_over_the_preset(verb: str) -> None:
    assert recipe("quality=best", "trainer.max_epochs=3", verb=verb) == (*BEST[:5], 3)
    assert recipe("trainer.max_epochs=3", "quality=best", "online.views=2", verb=verb) == (*BEST[:3], 2, 384, 3)
    assert recipe("quality=best", "online=light", verb=verb) == (*BEST[:3], None, 384, 8), "also the defaults' option"
    assert recipe("quality=best", "online=person", verb=verb)[3] is None
    assert recipe("quality=best", "trainer=default", verb=verb) == (*BEST[:5], 8)
    assert recipe("quality=best", "pixels=square224", verb=verb) == (*BEST[:4], 224, 8)
    assert recipe("quality=best", "model.trainable=[head]", verb=verb) == ("best", "lite2", "head", 16, 384, 8)


def test_a_file_of_settings_wins_over_the_preset_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("quality: best\ntrainer:\n  max_epochs: 3\n")
    assert recipe("--config", str(file)) == (*BEST[:5], 3)
    assert recipe("--config", str(file), "quality=quick") == (*QUICK[:5], 3)
    assert recipe("--config", str(file), "model=resnet18")[:2] == ("best", "resnet18")
    file.write_text("model: resnet18\n")
    assert recipe("--config", str(file)) == (None, "resnet18", "layer4", None, 224, 8)


def test_an_experiment_of_ones_own_may_choose_a_preset_and_a_model_its_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    monkeypatch.setattr("lookalike.settings.compose.config_folder", lambda: folder)
    mine = folder / "experiment" / "mine.yaml"
    mine.write_text("# @package _global_\ndefaults:\n  - override /quality: best\ntrainer:\n  max_epochs: 5\n")
    assert recipe("experiment=mine") == (None, *BEST[1:5], 5)
    mine.write_text("# @package _global_\ndefaults:\n  - override /model: efficientnet_lite0_short\n")
    assert recipe("experiment=mine") == (None, *QUICK[1:])
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 5\n")
    assert recipe("experiment=mine") == (None, *STANDARD[1:5], 5), "which says no model"
    assert recipe("experiment=mine", "model=efficientnet_lite2_deeper") == (None, *BEST[1:5], 5)


def test_presets_can_be_compared() -> None:
    _, runs = read_grid("compare", ["quality=quick,best", "seeds=0"])
    assert [(point["quality"], run.quality.name, run.pixels.height) for point, run in runs] == [
        ("quick", "quick", 224),
        ("best", "best", 384),
    ]
    _, runs = read_grid("compare", ["model=efficientnet_lite0,efficientnet_lite2_deep", "seeds=0"])
    assert [(run.quality, run.trainer.learning_rate) for _, run in runs] == [(None, 0.001), (None, 0.0005)]


def test_verbs_that_do_not_train_take_the_network_and_pixels_of_any_recipe() -> None:
    for verb in ("eval", "embed"):
        settings = read_settings(verb, ["model=efficientnet_lite2_deeper"])
        assert (settings.model.backbone, settings.pixels.height) == ("tf_efficientnet_lite2", 384)
        for group in ("online=light", "trainer=deep", "trainer.max_epochs=3", "quality=best"):
            with pytest.raises(SettingsError, match=rf"^{re.split('[.=]', group)[0]}(\.max_epochs)?: unknown setting"):
                read_settings(verb, [group])


def test_an_unknown_preset_is_led_to_the_nearest() -> None:
    message = r"^quality=standrad: no such option; did you mean standard\?; options: best, quick, standard$"
    for verb in ("train", "compare", "tune"):
        with pytest.raises(UsageError, match=message):
            read_settings(verb, ["quality=standrad"])


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_option_lists_the_options(group: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_group(group, f"{group}=zzz")
    assert str(caught.value) == f"{group}=zzz: no such option; options: {', '.join(GROUPS[group])}"
    near = GROUPS[group][-1]
    with pytest.raises(UsageError, match=rf"{group}={near}x: no such option; did you mean .*{near}"):
        with_group(group, f"{group}={near}x")
    if group == "experiment":  # the defaults choose none, and null says so
        assert with_group(group, "experiment=null") == with_group(group)
        return
    if group == "quality":  # null leaves the usual recipe without a name
        assert with_group(group, "quality=null") == with_group(group).model_copy(update={"quality": None})
        return
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
    assert not {"gallery", "images"} & set(compose("gallery/add", []))
    assert "image" not in compose("predict", [])
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
