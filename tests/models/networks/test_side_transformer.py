from dataclasses import replace

import pytest
import timm
import torch

from lookalike.errors import ModelError
from lookalike.models.networks.side_transformer import SideTransformer, TransformerOptions
from small_networks import fill, idle, pixels

SMALL = TransformerOptions(size=(64, 32), stride=(12, 12), width=24, depth=2, heads=3, sides=4)


def test_without_sides_and_overlap_it_is_timms() -> None:
    theirs = timm.create_model(
        "vit_tiny_patch16_224", num_classes=0, img_size=(64, 32), depth=2, embed_dim=24, num_heads=3
    )
    ours = SideTransformer(replace(SMALL, stride=(16, 16), sides=0))
    fill(theirs)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours.eval()(pixels()), theirs.eval()(pixels()), rtol=1e-4, atol=1e-5)


def test_patches_overlap_and_every_weight_matters() -> None:
    network = fill(SideTransformer(SMALL))
    assert network.pos_embed.shape == (1, 5 * 2 + 1, 24)
    assert network(pixels(), torch.tensor([0, 3])).shape == (2, 24)
    assert idle(network, pixels(), torch.tensor([0, 3])) == []


def test_the_side_is_added_to_all_tokens() -> None:
    network = fill(SideTransformer(SMALL, last=False))
    plain = SideTransformer(replace(SMALL, sides=0), last=False)
    plain.load_state_dict({name: value for name, value in network.state_dict().items() if name != "sie_embed"})
    tokens = plain.tokens(pixels(), None) + 3.0 * network.sie_embed[[2, 1]]
    torch.testing.assert_close(network.tokens(pixels(), torch.tensor([2, 1])), tokens)
    assert network(pixels(), torch.tensor([2, 1])).shape == (2, 11, 24)


def test_sides_and_sizes_are_checked() -> None:
    network = SideTransformer(SMALL)
    with pytest.raises(ModelError, match="embeds the camera, of which it knows 4; found none: give the camera"):
        network(pixels())
    with pytest.raises(ModelError, match="knows cameras 0 to 3, found 1 to 4"):
        network(pixels(), torch.tensor([4, 1]))
    with pytest.raises(ModelError, match=r"made for 64 x 32 pixels, found 96 x 32: give pixels\.height=64"):
        network(pixels(96, 32), torch.tensor([0, 1]))
