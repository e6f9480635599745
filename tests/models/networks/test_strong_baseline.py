import torch

from lookalike.models.networks.residual import ResidualTrunk
from lookalike.models.networks.strong_baseline import StrongBaseline
from small_networks import TINY, fill, idle, pixels


def test_the_embedding_stands_behind_the_batch_norm_or_before_it() -> None:
    network = fill(StrongBaseline(ResidualTrunk(TINY), gem=True))
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 512)
    assert idle(network, pixels()) == []
    network.taken = "before"
    torch.testing.assert_close(network.bottleneck(network(pixels())), embedding)


def test_names_are_those_of_the_project() -> None:
    names = set(StrongBaseline(ResidualTrunk(TINY), gem=True).state_dict())
    assert {"base.conv1.weight", "base.layer4.0.bn3.bias", "bottleneck.running_var", "global_pool.p"} <= names
