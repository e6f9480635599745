import torch

from lookalike.models.networks.attention_blocks import NonLocal, SqueezeExcitation
from small_networks import fill


def test_each_channel_is_weighed_by_what_the_image_holds() -> None:
    block = fill(SqueezeExcitation(32))
    features = torch.randn(2, 32, 5, 3)
    first, second = block.fc[0].weight, block.fc[2].weight
    for number in range(2):
        means = features[number].flatten(1).mean(1)
        weights = torch.sigmoid(second @ torch.relu(first @ means))
        torch.testing.assert_close(block(features)[number], features[number] * weights[:, None, None])


def test_each_place_takes_from_all_places_by_their_products() -> None:
    block = fill(NonLocal(8, inner=2))
    features = torch.randn(1, 8, 3, 2)
    places = features[0].flatten(1).T  # [P, C]
    theta, phi, value = (places @ part.weight[:, :, 0, 0].T + part.bias for part in (block.theta, block.phi, block.g))
    taken = torch.stack([sum(theta[i] @ phi[j] * value[j] for j in range(6)) / 6 for i in range(6)])
    expected = features + block.W(taken.T.view(1, 2, 3, 2))
    torch.testing.assert_close(block(features), expected, atol=1e-5, rtol=1e-5)
