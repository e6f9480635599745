"""The best epoch as a bundle: its figure beside that of the curves."""

from pathlib import Path

from lookalike.inference.bundle import load_bundle
from lookalike.metrics.evaluate import evaluate
from lookalike.training.finish import two_figures


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
