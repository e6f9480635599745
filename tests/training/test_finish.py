"""What a bundle tells of the run that made it."""

from pathlib import Path

from lookalike.inference.bundle import load_bundle


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
