from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from lookalike.models.networks.instance_batch import InstanceBatchNorm
from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk
from small_networks import TINY, fill, idle, pixels


def torchvisions(network: ResNet, images: torch.Tensor) -> torch.Tensor:
    features = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    return network.layer4(network.layer3(network.layer2(network.layer1(features))))


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (ResidualOptions((1, 1, 1, 1), bottleneck=False), {"block": BasicBlock}),
        (ResidualOptions((1, 2, 1, 1)), {"block": Bottleneck}),
        (ResidualOptions((1, 1, 1, 1), groups=32, group_width=4), {"groups": 32, "width_per_group": 4}),
    ],
)
def test_it_is_torchvisions_where_nothing_is_changed(options: ResidualOptions, made: dict[str, object]) -> None:
    theirs = fill(ResNet(**{"block": Bottleneck, "layers": list(options.layers), "num_classes": 3, **made}))
    ours = ResidualTrunk(options).eval()
    missing, more = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing
    assert sorted(more) == ["fc.bias", "fc.weight"]
    torch.testing.assert_close(ours(pixels()), torchvisions(theirs, pixels()), rtol=1e-4, atol=1e-4)
    assert ours(pixels()).shape[1] == options.channels


def test_what_leaves_no_tensor_changes_the_features_alone() -> None:
    theirs = fill(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=3))
    theirs.relu = nn.Identity()  # that of the stem; blocks have their own
    theirs.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    theirs.layer4[0].conv2.stride = theirs.layer4[0].downsample[0].stride = (1, 1)
    ours = ResidualTrunk(ResidualOptions((1, 1, 1, 1), last_stride=1, stem_relu=False, padded_pool=False)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    torch.testing.assert_close(ours(pixels()), torchvisions(theirs, pixels()), rtol=1e-4, atol=1e-4)
    assert ours(pixels()).shape[2:] == (4, 2)


@pytest.mark.parametrize(
    "options",
    [
        replace(TINY, ibn="a"),
        replace(TINY, ibn="b"),
        replace(TINY, squeeze=True, ibn="a"),
        replace(TINY, non_local=(0, 2, 1, 0)),
        replace(TINY, bottleneck=False, ibn="a", squeeze=True),
        replace(TINY, groups=4, group_width=16, last_stride=1, padded_pool=False),
    ],
)
def test_every_weight_matters(options: ResidualOptions) -> None:
    trunk = fill(ResidualTrunk(options))
    pooled = nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert idle(pooled, pixels()) == []


def test_half_of_the_channels_are_normed_by_image() -> None:
    norm = fill(InstanceBatchNorm(6))
    features = torch.randn(2, 6, 4, 3)
    made = norm(features)
    centred = made[:, :3] - norm.IN.bias[:, None, None]
    torch.testing.assert_close(centred.mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    alone = norm(features[:1])
    torch.testing.assert_close(alone, made[:1])  # in evaluation no image hangs on another
    flat = (features[:, 3:] - norm.BN.running_mean[:, None, None]) / (norm.BN.running_var[:, None, None] + 1e-5).sqrt()
    torch.testing.assert_close(made[:, 3:], flat * norm.BN.weight[:, None, None] + norm.BN.bias[:, None, None])


def test_ibn_b_has_one_norm_behind_the_last_block_of_two_stages() -> None:
    names = [name for name in ResidualTrunk(replace(TINY, ibn="b")).state_dict() if ".IN." in name]
    assert {name.rpartition(".IN")[0] for name in names} == {"layer1.0", "layer2.1"}
