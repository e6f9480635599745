"""The best epoch as a bundle: its figure beside that of the curves."""

from pathlib import Path

import numpy as np

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.inference.bundle import load_bundle
from lookalike.metrics.evaluate import evaluate
from lookalike.model import Model
from lookalike.training.finish import two_figures
from lookalike.training.run import train


def test_the_bundle_tells_how_it_was_trained(bundle_path: Path) -> None:
    training = load_bundle(bundle_path).config.training
    assert (training.epochs, training.images, training.seed) == (2, 50, 0)
    scores = [line["validation/accuracy@1"] for line in training.history]
    assert len(scores) == 2
    assert scores[training.best_epoch - 1] == max(scores)
    assert training.parameters is not None
    assert training.trained_parameters is not None
    assert training.parameters >= training.trained_parameters > 0
    assert training.settings["run"] == "tiny"
    assert "logger" not in training.settings


def line(epoch: int, accuracy: float, mean: float) -> dict[str, float]:
    return {"epoch": float(epoch), "validation/accuracy@1": accuracy, "validation/map": mean}


def test_two_figures_of_one_epoch_are_told_with_their_reason() -> None:
    vectors = [[1.0, 0.0], [0.0, 1.0]]
    result = evaluate(vectors, vectors, ["a", "b"], ["a", "b"])
    history = [line(1, 0.5, 0.5), line(2, 0.9, 0.95)]
    assert two_figures(history, result, "bf16-mixed", "float32") == (
        "validation of epoch 2: accuracy@1 0.9000 in training, 1.0000 of the bundle; mAP 0.9500 in training, 1.0000 of "
        "the bundle: training rounds in torch (bf16-mixed), the bundle in OpenVINO (float32), so near ties fall "
        "otherwise; the bundle's figures are what eval, report and predict give"
    )
    assert two_figures([line(1, 1.0, 1.0)], result, "32-true", "float32") == "", "nothing to tell"
    assert two_figures([], result, "32-true", "float32") == ""


def test_the_card_names_both_arithmetics(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    told = f"| arithmetic | {bundle.config.training.arithmetic} in training; {bundle.config.precision} in the bundle |"
    assert told in (bundle_path / "README.md").read_text(encoding="utf-8")


def test_images_are_scaled_in_the_same_way_from_training_to_serving(few_produce: Path, tmp_path: Path) -> None:
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    asked = ("pixels.interpolation=bicubic", "pixels.antialias=false", "trainer.max_epochs=1")
    settings = read_settings("train", [f"data.root={few_produce}", "run=r", *folders, *TINY, *asked])
    bundle, _ = train(settings)
    assert bundle.pixels == PixelSettings(32, 32, "stretch", "bicubic", False)
    assert "32 x 32 pixels, stretch, bicubic not antialiased" in (bundle.path / "README.md").read_text(encoding="utf-8")
    served, resumed = Model.load(bundle.path, device="cpu", precision="float32"), train(settings)[0]
    assert resumed.fingerprint == bundle.fingerprint
    of_checkpoint = Model.from_checkpoint(tmp_path / "checkpoint" / "r" / "best.safetensors", device="cpu")
    assert of_checkpoint.encoder.pixels == bundle.pixels
    assert of_checkpoint.encoder.fingerprint == bundle.fingerprint
    file = few_produce / bundle.references.paths[0]
    by_opencv = served.embed(read_image(file, bundle.pixels))
    assert np.abs(served.embed(file) - by_opencv).max() < 1e-6
    as_made = Model.load(bundle.path, device="cpu")  # in bf16, where this processor has it
    assert np.abs(as_made.embed(file) - bundle.references.embeddings[0]).max() < 1e-4
    assert np.abs(served.embed(read_image(file, PixelSettings(32, 32))) - by_opencv).max() > 1e-3
