from dataclasses import replace

import pytest
import torch

from lookalike.models.networks.pooled_residual import PooledResidual, StripedResidual
from lookalike.models.networks.residual import ResidualOptions
from small_networks import TINY, count, fill, idle, pixels


@pytest.mark.parametrize(("linear", "size"), [(None, 512), (24, 24)])
def test_the_embedding_is_the_mean_or_what_the_linear_layer_makes_of_it(linear: int | None, size: int) -> None:
    network = fill(PooledResidual(TINY, linear))
    embedding = network(pixels())
    assert embedding.shape == (2, size)
    assert network.embedding_size == size
    means = network.features(pixels()).mean((2, 3))
    torch.testing.assert_close(embedding, network.fc(means) if linear else means)
    assert idle(network, pixels()) == []


def test_stripes_have_unit_length_each() -> None:
    network = fill(StripedResidual(replace(TINY, last_stride=1), stripes=4))
    embedding = network(pixels(128, 32))
    assert embedding.shape == (2, network.embedding_size) == (2, 512 * 4)
    parts = embedding.view(2, 512, 4)
    torch.testing.assert_close(parts.norm(dim=1), torch.ones(2, 4))
    lines = network.features(pixels(128, 32))[:, :, 2:4].mean((2, 3))  # 8 lines, 2 a stripe
    torch.testing.assert_close(parts[:, :, 1], lines / lines.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("linear", "millions"), [(None, 23.5), (512, 24.6)]
)  # KaiyangZhou/deep-person-reid, docs/MODEL_ZOO.md, "# Param"
def test_parameters_are_as_many_as_torchreid_states(linear: int | None, millions: float) -> None:
    with torch.device("meta"):
        network = PooledResidual(ResidualOptions(), linear)
    assert round(count(network) / 1e6, 1) == millions
