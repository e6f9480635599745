"""A network in two halves is the whole network, bit for bit, or it is not split."""

import pytest
import torch

from embedders import FAMILIES, family, make, pictures


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", FAMILIES)
def test_trunk_and_rest_equal_the_whole_bit_for_bit(backbone: str, training: bool) -> None:
    embedder, images = family(backbone).train(training), pictures(2, 160, seed=3)
    assert embedder.trunk_end == FAMILIES[backbone][1]
    if embedder.trunk_end is None:
        with pytest.raises(AssertionError, match="a network that has none"):
            embedder.trunk(images)
        return
    with torch.no_grad():
        features, whole = embedder.trunk(images), embedder(images)
        assert torch.equal(embedder.rest(features), whole)
        assert torch.equal(embedder(images), whole)  # the bypass is undone


def test_a_broken_off_pass_leaves_the_network_whole() -> None:
    embedder, images = make("test_resnet", trainable=["layer4", "head"]).eval(), pictures(2)
    with torch.no_grad():
        whole = embedder(images)
        with pytest.raises(RuntimeError):
            embedder.rest(torch.zeros(2, 1, 3, 3))  # features of another network
        assert torch.equal(embedder(images), whole)
        assert torch.equal(embedder.rest(embedder.trunk(images)), whole)


@pytest.mark.parametrize("trainable", [["all"], None, ["conv1"], ["all", "layer4"]])
def test_without_a_frozen_stage_in_front_there_is_no_trunk(trainable: list[str] | None) -> None:
    assert make("test_resnet", trainable=trainable).trunk_end is None
