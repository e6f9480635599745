import pytest
import torch

from lookalike.errors import ModelError
from lookalike.models.networks.clip_reid import ClipReid
from lookalike.models.networks.clip_towers import ClipOptions, ClipTransformer
from small_networks import fill, pixels

OPTIONS = ClipOptions(size=(64, 32), width=64, depth=2, projection=24)


def test_token_and_projection_one_behind_the_other() -> None:
    network = fill(ClipReid(ClipTransformer(OPTIONS)))
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 88)
    network.taken = "after"
    expected = torch.cat([network.bottleneck(embedding[:, :64]), network.bottleneck_proj(embedding[:, 64:])], 1)
    torch.testing.assert_close(network(pixels()), expected)


def test_the_side_is_added_to_the_class_token_alone() -> None:
    network = fill(ClipReid(ClipTransformer(OPTIONS), sides=3, side_weight=2.0))
    with pytest.raises(ModelError, match="embeds the camera, of which it knows 3; found none"):
        network(pixels())
    sides = torch.tensor([2, 0])
    tower = network.image_encoder
    plain = torch.cat(tower(pixels()[:1], 2.0 * network.cv_embed[2:]), 1)
    torch.testing.assert_close(network(pixels(), sides)[:1], plain)
    with torch.no_grad():
        tower.class_embedding += 2.0 * network.cv_embed[2]
    torch.testing.assert_close(torch.cat(tower(pixels()[:1]), 1), plain)
