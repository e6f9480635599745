"""The embedding as a sum over positions of the last feature map, beside torch's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from explained_networks import encoder_of, network, noise
from lookalike.inference.feature_maps import FeatureMaps, NotASumError, Parts
from lookalike.inference.openvino_network import OpenVinoNetwork


def maps_of(folder: Path, **settings: Any) -> tuple[FeatureMaps, Any]:
    embedder = network(**settings)
    encoder = encoder_of(embedder, folder)
    assert isinstance(encoder.network, OpenVinoNetwork)
    return FeatureMaps(encoder.network.graph, encoder.pixels), embedder


@pytest.mark.parametrize(
    "head",
    [{}, {"bn_neck": True}, {"embedding_size": None}, {"backbone": "test_efficientnet"}],
    ids=["linear", "neck", "none", "efficientnet"],
)
def test_constant_and_positions_are_the_embedding_of_torch(head: dict[str, Any], tmp_path: Path) -> None:
    maps, embedder = maps_of(tmp_path, **head)
    for image in noise(2):
        parts = maps.parts(image)
        with torch.no_grad():
            expected = embedder(torch.from_numpy(image[None]))[0].double().numpy()
        whole = parts.constant + parts.positions.sum((0, 1))
        np.testing.assert_allclose(whole, expected, atol=1e-4 * np.linalg.norm(expected))
        assert parts.length == pytest.approx(np.linalg.norm(expected), rel=1e-4)
        assert (np.abs(parts.constant).max() > 0.01) == (head.get("embedding_size", 16) is not None)
        assert parts.positions.shape[:2] == maps_shape(embedder)


def maps_shape(embedder: Any) -> tuple[int, int]:
    with torch.no_grad():
        shape = embedder.backbone.forward_features(torch.zeros(1, 3, 64, 64)).shape
    return int(shape[2]), int(shape[3])


def test_a_position_adds_what_the_head_makes_of_it(tmp_path: Path) -> None:
    """The slow writing: the features of torch, each position through the linear layer alone."""
    maps, embedder = maps_of(tmp_path)
    image = noise(1)[0]
    parts: Parts = maps.parts(image)
    with torch.no_grad():
        features = embedder.backbone.forward_features(embedder._normalised(torch.from_numpy(image[None])))[0]
        weight = embedder.head.weight
        for row in range(features.shape[1]):
            for column in range(features.shape[2]):
                share = weight @ features[:, row, column] / (features.shape[1] * features.shape[2])
                np.testing.assert_allclose(parts.positions[row, column], share.numpy(), atol=1e-5)
        np.testing.assert_allclose(parts.constant, embedder.head.bias.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"pooling": "gem"}, "does not pool a feature map by its mean alone"),
        ({"backbone": "test_vit"}, "does not pool a feature map by its mean"),
        ({"backbone": "convnext_atto"}, "what stands behind its pooling is not linear"),
    ],
)
def test_other_networks_say_why_they_are_no_sum(settings: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(NotASumError, match=why):
        maps_of(tmp_path, **settings)[0].parts(noise(1)[0])


def test_a_file_that_is_no_graph_is_no_sum(tmp_path: Path) -> None:
    encoder = encoder_of(network(), tmp_path)
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(NotASumError, match="its graph cannot be cut at a feature map"):
        FeatureMaps(tmp_path / "model.xml", encoder.pixels)
