"""Predictions as objects: neighbours, votes, the unknown, pictures, JSON."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.data.dataset_api import Dataset
from lookalike.evaluation.split import evaluate_split
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import find_queries, predict


def test_its_labels_are_those_of_the_evaluation(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle)
    result = evaluate_split(bundle, encoder, Dataset(digits), "test")
    prediction = predict(encoder, bundle.references, find_queries(str(digits / "test")), 1, source="tiny")
    assert [item.label for item in prediction.items] == result.per_query["predicted"].tolist()
    assert np.mean([item.label == item.truth for item in prediction.items]) == result.metrics["accuracy@1"]


def test_a_training_image_finds_itself_first(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    files = find_queries(str(digits / "train" / "digit 3"))
    for item, file in zip(
        predict(openvino_encoder(bundle), bundle.references, files, 1, source="tiny"), files, strict=True
    ):
        assert Path(item.neighbours[0].path) == file.resolve()
        assert item.neighbours[0].similarity == pytest.approx(1, abs=1e-5)


def test_patterns_and_folders(digits: Path) -> None:
    assert len(find_queries(str(digits / "test"))) == 20
    assert len(find_queries(str(digits / "te*" / "digit [01]" / "*.png"))) == 8
    assert len(find_queries(str(digits / "**" / "*.png"))) == 90
    assert find_queries("gone.jpg") == [Path("gone.jpg")], "a named file that is missing becomes an item with an error"
