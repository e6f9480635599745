"""Values arrive as they were typed, whichever way they are given."""

import json
import re
from pathlib import Path

import pytest

from command_line import train
from lookalike.cli.arguments import read_grid, read_settings
from lookalike.errors import LookalikeError
from lookalike.settings.check import SettingsError
from lookalike.settings.compose import UsageError

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
        "a~",
        "./~/x",
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
    # What means something in the files under configs/, whole or half.
    *(
        "${",
        "${}",
        "${x",
        "a${b",
        "${a: 'x}",
        "${${x}}",
        "$${x}",
        "\\\\${x}",
        "${oc.env:HOME",
        "}",
        "???",
        " ??? ",
    ),
]


FOURS = [(AWKWARD + AWKWARD)[first : first + 4] for first in range(0, len(AWKWARD), 4)]


@pytest.mark.parametrize("texts", FOURS)
def test_paths_arrive_unchanged(texts: list[str], tmp_path: Path) -> None:
    fields = ("bundle", "image", "output", "gallery_root")
    pairs = dict(zip(fields, texts, strict=True))
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(pairs))
    apart = [
        part
        for name, text in pairs.items()
        for part in ([f"--{name}={text}"] if text.startswith("--") else [f"--{name}", text])
    ]
    for arguments in (
        [f"{name}={text}" for name, text in pairs.items()],
        [f"--{name}={text}" for name, text in pairs.items()],
        apart,
        ["--config", str(file)],
    ):
        settings = read_settings("predict", arguments)
        assert [getattr(settings, name) for name in fields] == texts


@pytest.mark.parametrize("texts", FOURS)
def test_paths_in_groups_arrive_unchanged(texts: list[str]) -> None:
    names = ("data.root", "models_dir", "model.weights", "logger.mlflow.uri")
    settings = train(*(f"{name}={text}" for name, text in zip(names, texts, strict=True)))
    assert [settings.data.root, settings.models_dir, settings.model.weights, settings.logger["mlflow"]["uri"]] == texts


def test_yaml_words_in_a_config_file_are_names(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("bundle: 2024-01-01\nimage: on\noutput: 007\ngallery_root: null\nk: 3\n")
    settings = read_settings("predict", ["--config", str(file)])
    assert (settings.bundle, settings.image, settings.output, settings.gallery_root, settings.k) == (
        "2024-01-01",
        "on",
        "007",
        None,
        3,
    )


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
    settings = train("trainer.batch_size=8", "--config", str(file), "data.validation_share=0.25")
    assert settings == train("--trainer.batch-size", "8", f"--config={file}", "--data.validation-share=0.25")
    trainer, data, model = settings.trainer, settings.data, settings.model
    assert (settings.run, settings.seed, trainer.batch_size, trainer.max_epochs) == ("2024", 1, 8, 3)
    assert (data.root, data.validation_share) == ("my photos, all [2024]", 0.25)
    assert (settings.loss.name, settings.loss.margin_distance) == ("triplet", 0.5)
    assert sorted(settings.logger) == ["csv", "mlflow"]
    assert (model.trainable, model.bn_neck, trainer.threads) == (["layer3", "head"], True, None)


def test_a_later_config_file_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("k: 3\nimage: a.jpg\n")
    second.write_text("k: 4\n")
    settings = read_settings("predict", ["bundle=b", "--config", str(first), "--config", str(second)])
    assert (settings.k, settings.image) == (4, "a.jpg")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.yaml", None, r"--config .*c\.yaml: cannot be read \(No such file"),
        ("c.yaml", b"- 1", "--config .*expected settings such as k: 10, got list"),
        ("c.json", b"[1, 2]", "--config .*expected settings such as k: 10, got list"),
        ("c.yaml", b"", "--config .*expected settings such as k: 10, got nothing"),
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
    "arguments",
    [
        ["--data.validation-share", "0.25", "--false_accept_rate", "0.1", "--loss", "triplet", "--run", "-1"],
        ["--data.validation_share=0.25", "--false-accept-rate=0.1", "--loss=triplet", "--run=-1"],
        ["data.validation_share=0.25", "--false-accept-rate", "0.1", "loss=triplet", "--run", "-1"],
    ],
)
def test_a_long_option_is_a_setting(arguments: list[str]) -> None:
    plain = train("data.validation_share=0.25", "false_accept_rate=0.1", "loss=triplet", "run=-1")
    assert train(*arguments) == plain


def test_of_a_setting_given_twice_the_last_counts_however_it_is_given() -> None:
    settings = read_settings("predict", ["bundle=b", "--image", "a", "k=3", "--k", "4", "image=c", "--image=d", "k=5"])
    assert (settings.image, settings.k) == ("d", 5)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (["--k"], "--k"),
        (["image=i", "--k", "--bundle", "b"], "--k"),
        (["--k", "3", "image"], "image"),
        (["-k", "3"], "-k"),
        (["-k=3"], "-k=3"),
        (["=3"], "=3"),
        (["--"], "--"),
        (["--=3"], "--=3"),
        (["--", "3"], "--"),
        ([""], ""),
    ],
)
def test_what_is_no_setting_is_told(arguments: list[str], argument: str) -> None:
    expected = f"{argument}: expected setting=value; lookalike predict --help lists the settings"
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        read_settings("predict", arguments)


@pytest.mark.parametrize("arguments", [["--config"], ["--config", "--k"], ["k=3", "--config"]])
def test_a_config_without_its_file_is_told(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--config: needs a file, such as --config configs/predict_config\.json$"):
        read_settings("predict", arguments)


@pytest.mark.parametrize("arguments", [["--imag", "i"], ["--imag=i"], ["imag=i"]])
def test_a_misspelt_option_is_named_with_its_nearest(arguments: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"^imag: unknown setting; did you mean image\?; known here: bundle, gall"):
        read_settings("predict", ["bundle=b", "image=i", *arguments])


def test_a_grid_is_every_combination_with_every_seed() -> None:
    arguments = ["name=c", "--loss", "arcface,cosface", "seeds=0,1", "--trainer.learning-rate=0.001,0.0003", "run=x"]
    comparison, runs = read_grid("compare", [*arguments, "data.root=a,b", "model.trainable=[layer4,head]", "seed=9"])
    assert (comparison.name, comparison.seeds) == ("c", [0, 1])
    axes = [(loss, rate) for loss in ("arcface", "cosface") for rate in ("0.001", "0.0003")]
    assert [tuple(point.values()) for point, _ in runs] == [pair for pair in axes for _ in range(2)]
    assert [settings.run for _, settings in runs] == [
        f"c-{loss}-{rate}-s{seed}" for loss, rate in axes for seed in (0, 1)
    ]
    assert [settings.seed for _, settings in runs] == [0, 1] * 4
    point, last = runs[-1]
    assert point == {"loss": "cosface", "trainer.learning_rate": "0.0003"}
    assert (last.loss.name, last.trainer.learning_rate) == ("cosface", 0.0003)
    assert (last.data.root, last.model.trainable) == ("a,b", ["layer4", "head"])


def test_a_grid_without_axes_is_one_run_per_seed() -> None:
    comparison, runs = read_grid("compare", ["seeds=3"])
    assert (comparison.seeds, [(point, settings.run) for point, settings in runs]) == ([3], [({}, "comparison-s3")])


def test_a_grid_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("name: c\nseeds: [1]\noutput: o\ntrainer: {max_epochs: 7}\ndata: {root: 'a,b'}\n")
    comparison, runs = read_grid("compare", ["--config", str(file), "loss=arcface,circle"])
    assert (comparison.name, comparison.output) == ("c", "o")
    assert [(settings.run, settings.trainer.max_epochs, settings.data.root) for _, settings in runs] == [
        ("c-arcface-s1", 7, "a,b"),
        ("c-circle-s1", 7, "a,b"),
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("loss=arcface,arcfase", r"loss=arcfase: no such option; did you mean arcface"),
        ("trainer.learnin_rate=1,2", r"trainer.learnin_rate: unknown setting; did you mean learning_rate"),
        ("trainer.learning_rate=0.1,-1", r"trainer.learning_rate=-1: expected greater than 0"),
        ("seeds=0,x", r"^seeds\.1=x: expected a valid integer"),
        ("seeds=", r"^seeds=\[\]: .* at least 1 item"),
        ("trainer.max_epochs", r"^trainer.max_epochs: expected setting=value; lookalike compare --help"),
    ],
)
def test_every_run_of_a_grid_is_checked(argument: str, message: str) -> None:
    with pytest.raises(LookalikeError, match=message):
        read_grid("compare", ["loss=arcface,cosface", argument])
