import pytest
import torch

from lookalike.errors import ModelError
from lookalike.models.networks.harmonious import HarmoniousNetwork
from small_networks import count, fill, idle, pixels


def test_both_branches_have_unit_length_and_every_weight_matters() -> None:
    network = fill(HarmoniousNetwork((32, 32, 32), size=24))
    embedding = network(pixels(160, 64))
    assert embedding.shape == (2, network.embedding_size) == (2, 48)
    torch.testing.assert_close(embedding.view(2, 2, 24).norm(dim=2), torch.ones(2, 2))
    for name, bias in network.named_parameters():
        if name.endswith("channel_attn.conv1.bn.bias"):  # two channels, which a relu may both silence
            torch.nn.init.ones_(bias)
    assert idle(network, pixels(160, 64)) == []


def test_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"runs at 160 x 64 pixels alone, found 256 x 128: give pixels\.height=160"):
        HarmoniousNetwork((32, 32, 32), size=8)(pixels(256, 128))


def test_parameters_are_as_many_as_torchreid_states() -> None:
    with torch.device("meta"):
        network = HarmoniousNetwork()
    # KaiyangZhou/deep-person-reid, docs/MODEL_ZOO.md states 4.5 million; compute_model_complexity counts what runs for
    # each of the four regions four times.
    local = sum(count(part) for part in (network.local_conv1, network.local_conv2, network.local_conv3))
    assert round((count(network) + 3 * local) / 1e6, 1) == 4.5
