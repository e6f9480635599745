import torch

from lookalike.models.networks.multi_level import MultiLevelNetwork
from small_networks import count, fill, idle, pixels


def test_every_weight_matters() -> None:
    network = fill(MultiLevelNetwork((16, 64, 64, 64, 64), size=20))
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 20)
    assert idle(network, pixels()) == []


def test_groups_are_weighed_one_by_one() -> None:
    block = fill(MultiLevelNetwork((16, 128, 64, 64, 64), size=20)).feature[1]
    features = torch.randn(1, 128, 4, 4).abs()
    _, weights = block(features)
    inside = block.fm_bn2(block.fm_conv2(block.fm_bn1(block.fm_conv1(features)).relu())).relu()
    weighed = torch.cat([inside[:, 2 * group : 2 * group + 2] * weights[:, group] for group in range(32)], 1)
    expected = (features + block.fm_bn3(block.fm_conv3(weighed)).relu()).relu()
    torch.testing.assert_close(block(features)[0], expected)


def test_parameters_are_as_many_as_torchreid_states() -> None:
    with torch.device("meta"):
        network = MultiLevelNetwork()
    # KaiyangZhou/deep-person-reid, docs/MODEL_ZOO.md states 32.5 million.
    assert round(count(network) / 1e6, 1) == 32.5
