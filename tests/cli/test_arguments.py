import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.cli.verbs import VERBS
from lookalike.errors import LookalikeError
from lookalike.settings.check import SettingsError, check
from lookalike.settings.compose import UsageError, config_folder
from lookalike.settings.training import Train

CONFIGS = config_folder()
NEEDED = {
    "quantize": ["bundle=b"],
    "manifest": [],
    "augment": [],
    "train": [],
    "demo": [],
    "embed": ["bundle=b"],
    "eval": [],
    "predict": ["bundle=b", "image=i.jpg"],
    "audit": [],
    "compare": [],
    "tune": [],
    "report": ["bundle=b"],
}
GROUPS = {
    folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONFIGS.iterdir() if folder.is_dir()
}


def train(*arguments: str) -> Train:
    return read_settings("train", list(arguments))


def with_group(group: str, *arguments: str) -> Train:
    """Settings of a verb that has the group."""
    return read_settings("tune" if group == "tune" else "train", list(arguments))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_defaults_for_all_but_what_it_needs(verb: str) -> None:
    assert type(read_settings(verb, NEEDED[verb])) is VERBS[verb].settings_type
    for argument in NEEDED[verb]:
        name = argument.partition("=")[0]
        with pytest.raises(SettingsError, match=f"{name}: needs a value: give {name}="):
            read_settings(verb, [other for other in NEEDED[verb] if other != argument])


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


def test_every_group_has_a_misspelt_setting_above() -> None:
    marks = test_a_misspelt_setting_is_named_with_its_nearest.pytestmark[0].args[1]
    groups = {name.partition(".")[0] for verb, name, _ in marks if verb == "train" and "." in name}
    assert groups == set(GROUPS) - {"experiment", "tune"}


@pytest.mark.parametrize("loss", GROUPS["loss"])
def test_the_settings_of_another_loss_are_unknown(loss: str) -> None:
    with pytest.raises(SettingsError, match=r"loss\.nonsense: unknown setting.*known here: .*name"):
        train(f"loss={loss}", "loss.nonsense=1")
    other = "temperature" if loss not in ("supcon", "normalized_softmax") else "margin_degrees"
    with pytest.raises(SettingsError, match=rf"loss\.{other}: unknown setting"):
        train(f"loss={loss}", f"loss.{other}=0.5")


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


@pytest.mark.parametrize(
    ("verb", "setting"),
    [("predict", "k=0"), ("predict", "picture_rows=-1"), ("eval", "split=tests"), ("augment", "strength=0")],
)
def test_ranges_hold_for_the_other_verbs(verb: str, setting: str) -> None:
    with pytest.raises(SettingsError, match=f"^{setting}: expected"):
        read_settings(verb, [*NEEDED[verb], setting])


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"^3 wrong settings:\n") as caught:
        train("seed=-1", "trainer.batch_size=0", "pixels.hight=9")
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "seed=-1",
        "pixels.hight",
        "trainer.batch_size=0",
    ]


AWKWARD = [
    *(
        "a b",
        "a,b",
        "[x]",
        "[1,2]",
        "{a: 1}",
        "(x)",
        "it's",
        'say "x"',
        "'quoted'",
        '"quoted"',
        "a=b=c",
        "${oc.env:HOME}",
    ),
    *(
        "\\${x}",
        "a\\b",
        "a\\\\b",
        "C:\\my photos\\",
        "\\\\server\\x\\'",
        "müße/crème brûlée",
        "日本",
        "2024",
        "007",
        "1e5",
    ),
    *(
        "1_000",
        "true",
        "Yes",
        "off",
        "null.jpg",
        "nullx",
        "None",
        "~",
        "~/x",
        "nan",
        "inf",
        ".5",
        "12:30",
        "2024-01-01",
    ),
    *(
        "*.[jJ]pg",
        "a?.jpg",
        "@x",
        "!x",
        "%x",
        "&x",
        "|",
        "a;b",
        "#x",
        "a#b",
        "-",
        "--x",
        " lead",
        "trail ",
        "a\nb",
        "a\tb",
    ),
    *("choice(a,b)", "x,", "[", "]", "[]", "{}", "\udce9.jpg", "$x", "a: b", "???x"),
]


FOURS = [(AWKWARD + AWKWARD)[first : first + 4] for first in range(0, len(AWKWARD), 4)]


@pytest.mark.parametrize("texts", FOURS)
def test_paths_arrive_unchanged(texts: list[str], tmp_path: Path) -> None:
    fields = ("bundle", "image", "output", "gallery_root")
    found = read_settings("predict", [f"{name}={text}" for name, text in zip(fields, texts, strict=True)])
    assert [getattr(found, name) for name in fields] == texts
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(dict(zip(fields, texts, strict=True))))
    found = read_settings("predict", ["--config", str(file)])
    assert [getattr(found, name) for name in fields] == texts


@pytest.mark.parametrize("texts", FOURS)
def test_paths_in_groups_arrive_unchanged(texts: list[str]) -> None:
    names = ("data.root", "models_dir", "model.weights", "logger.mlflow.uri")
    found = train(*(f"{name}={text}" for name, text in zip(names, texts, strict=True)))
    assert [found.data.root, found.models_dir, found.model.weights, found.logger["mlflow"]["uri"]] == texts


@pytest.mark.parametrize("run", ["2024", "true", "[x]", "fruits, all (2)", "été", "a.b", "${x}"])
def test_a_run_may_have_any_name(run: str) -> None:
    assert train(f"run={run}").run == run


@pytest.mark.parametrize("run", ["a/b", "../a", ".a", "", " a", "a\\b"])
def test_but_none_that_leads_elsewhere(run: str) -> None:
    with pytest.raises(SettingsError, match=r"^run=.*: expected a name without slashes"):
        train(f"run={run}")


def test_yaml_words_in_a_config_file_are_names(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("bundle: 2024-01-01\nimage: on\noutput: 007\ngallery_root: null\nk: 3\n")
    found = read_settings("predict", ["--config", str(file)])
    assert (found.bundle, found.image, found.output, found.gallery_root, found.k) == (
        "2024-01-01",
        "on",
        "007",
        None,
        3,
    )


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


def test_a_logger_needs_all_its_settings() -> None:
    with pytest.raises(SettingsError, match=r"^logger\.mlflow\.uri: needs a value: give logger\.mlflow\.uri="):
        train("logger=none", "logger.mlflow.experiment=x")


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_config_file_lies_under_the_command_line(suffix: str, tmp_path: Path) -> None:
    values = {
        "loss": "triplet",
        "logger": ["csv", "mlflow"],
        "run": "2024" if suffix == ".json" else 2024,
        "seed": 1,
        "data": {"root": "my photos, all [2024]", "validation_share": 0},
        "model": {"trainable": ["layer3", "head"], "bn_neck": True, "mean": None},
        "trainer": {"threads": None, "max_epochs": 3, "batch_size": 4},
        "loss.margin_distance": 0.5,
    }
    file = tmp_path / f"settings{suffix}"
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in values.items()]
    file.write_text(json.dumps(values, indent="\t") if suffix == ".json" else "".join(lines))
    found = train("trainer.batch_size=8", "--config", str(file), "data.validation_share=0.25")
    assert (found.run, found.seed, found.trainer.batch_size, found.trainer.max_epochs) == ("2024", 1, 8, 3)
    assert (found.data.root, found.data.validation_share) == ("my photos, all [2024]", 0.25)
    assert (found.loss.name, found.loss.margin_distance, sorted(found.logger)) == ("triplet", 0.5, ["csv", "mlflow"])
    assert (found.model.trainable, found.model.bn_neck, found.trainer.threads) == (["layer3", "head"], True, None)


def test_a_later_config_file_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("k: 3\nimage: a.jpg\n")
    two.write_text("k: 4\n")
    settings = read_settings("predict", ["bundle=b", "--config", str(one), "--config", str(two)])
    assert (settings.k, settings.image) == (4, "a.jpg")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.yaml", None, r"--config .*c\.yaml: cannot be read \(No such file"),
        ("c.yaml", b"- 1", "--config .*expected settings such as k: 10, got list"),
        ("c.json", b"[1, 2]", "--config .*expected settings such as k: 10, got list"),
        ("c.yaml", b"", "--config .*expected settings such as k: 10, got NoneType"),
        ("c.json", b"", "--config .*not YAML or JSON"),
        ("c.yaml", b"a: [", "--config .*not YAML or JSON"),
        ("c.json", b"k: 3", "--config .*not YAML or JSON"),
        ("c.yaml", b"\xff\xfe\x00k", "--config .*not YAML or JSON"),
        ("c.json", b"\xff", "--config .*not YAML or JSON"),
        ("c.yaml", b"kk: 3", "kk: unknown setting; did you mean k"),
        ("c.yaml", b"k: 0", "k=0: expected greater than or equal to 1"),
        ("c.json", b'{"output": true}', "output=True: expected a valid string"),
        ("c.json", b'{"output": ["x"]}', "output=.*: expected a valid string"),
    ],
)
def test_a_bad_config_file_is_named(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LookalikeError, match=message):
        read_settings("predict", ["bundle=b", "image=i", "--config", str(file)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian: no such verb; did you mean train?; verbs: demo, "),
        (["--nope"], "--nope: no such verb"),
        (["predict", "image=i"], "bundle: needs a value: give bundle=..."),
        (["predict", "bundle=b", "image"], "image: expected setting=value; lookalike predict --help lists"),
        (["predict", "--k", "3"], "--k: expected setting=value"),
        (["predict", "=3"], "=3: expected setting=value"),
        (["predict", "--config"], "--config: needs a file"),
        (["predict", "bundle=b", "image=i", "k=0"], "k=0: expected greater"),
        (["predict", "bundle=/no where", "image=i.jpg"], "/no where"),
        (["eval", "bundle=/no where"], "/no where"),
        (["train", "loss=arcfase"], "loss=arcfase: no such option; did you mean arcface"),
        (["manifest", "data.root=/no where"], "/no where"),
        (["predict", "bundle=b", "image=/no where/*.jpg"], "image=/no where/*.jpg: no image there"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("lookalike: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err
    with pytest.raises(LookalikeError):
        main([*arguments, "--debug"])


def names(kind: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        found += names(inner, f"{prefix}{name}.") if nested else [prefix + name]
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_every_setting_as_it_is_typed(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    lines = [line.strip() for line in text.splitlines()]
    for name in names(VERBS[verb].settings_type):
        assert any(line.startswith((f"{name}=", f"{name}.")) for line in lines), name
    for group in GROUPS if verb == "tune" else set(GROUPS) - {"tune"} if verb == "train" else []:
        assert f"{group}= {', '.join(GROUPS[group])}" in lines
    assert "--config FILE" in text
    typed = [line.split("  ")[0] for line in lines[5 : lines.index("", 5)]]
    assert len(typed) >= len(names(VERBS[verb].settings_type))
    given = [setting for setting in typed if not setting.endswith("=(needed)")]
    assert len(typed) - len(given) == len(NEEDED[verb])
    assert read_settings(verb, [*NEEDED[verb], *given]) == read_settings(verb, NEEDED[verb])


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture) -> None:
    from lookalike import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lookalike {__version__}\n"


def test_settings_cannot_be_changed_and_check_takes_plain_values() -> None:
    settings = check(
        VERBS["manifest"].settings_type,
        {
            "data": {"root": "x", "validation_share": 0, "seed": 0, "archive": None, "exclude": None},
            "output": "o",
            "check": True,
        },
    )
    with pytest.raises(ValueError, match="frozen"):
        settings.output = "p"
    with pytest.raises(SettingsError, match=r"^data: needs a value"):
        check(VERBS["manifest"].settings_type, {"output": "o", "check": True})
