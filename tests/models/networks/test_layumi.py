import torch

from lookalike.models.networks.layumi import FtNet, PartNet
from small_networks import TINY, fill, idle, pixels


def test_the_embedding_stands_before_the_classifier_or_is_the_mean() -> None:
    network = fill(FtNet(TINY, size=24))
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 24)
    assert idle(network, pixels()) == []
    network.taken = "pooled"
    assert network.embedding_size == 512
    torch.testing.assert_close(network.classifier(network(pixels())), embedding)


def test_an_old_leaky_relu_leaves_no_tensor() -> None:
    plain, leaky = fill(FtNet(TINY, size=24)), fill(FtNet(TINY, size=24, relu=True))
    assert list(plain.state_dict()) == list(leaky.state_dict())
    expected = torch.nn.functional.leaky_relu(plain(pixels()), 0.1)
    torch.testing.assert_close(leaky(pixels()), expected)


def test_a_block_may_have_no_linear_layer() -> None:
    network = fill(FtNet(TINY, size=None))
    assert network(pixels()).shape == (2, 512)
    first = next(name for name in network.state_dict() if name.startswith("classifier"))
    assert network.get_parameter(first).shape == (512,)


def test_stripes_come_as_they_are() -> None:
    network = fill(PartNet(TINY, stripes=2))
    stripes = network(pixels()).view(2, 512, 2)
    features = network.model(pixels())
    torch.testing.assert_close(stripes[:, :, 1], features[:, :, 1:].mean((2, 3)))
    assert network.embedding_size == 1024
