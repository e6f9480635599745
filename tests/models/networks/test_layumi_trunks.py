import timm
import torch
from torch import nn

from lookalike.models.networks.layumi_trunks import trunk_net

BLOCK = {"classifier.add_block.0.weight": (512, 768)}


def shapes_of(name: str, **settings: object) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0, **settings)
    return {f"model.{key}": tuple(value.shape) for key, value in network.state_dict().items()}


def test_each_trunk_is_told_by_its_names() -> None:
    for name in ("swin_small_patch4_window7_224", "swinv2_tiny_window8_256", "convnext_small", "hrnet_w18"):
        with torch.device("meta"):
            made = trunk_net({**shapes_of(name), **BLOCK}, (256, 128))
        assert made is not None
        assert (made.architecture, made.embedding_size) == (name, 512)


def test_heads_that_the_project_takes_off_are_no_part_of_it() -> None:
    with torch.device("meta"):
        made = trunk_net({**shapes_of("convnext_tiny"), **BLOCK}, (256, 128))
        dense = trunk_net({**shapes_of("densenet121"), **BLOCK}, (256, 128))
    assert made is not None
    assert dense is not None
    assert not [name for name in made.state_dict() if name.startswith("model.head")]
    assert isinstance(dense.model.features.norm5.act, nn.Identity)


def test_other_networks_are_none_of_these() -> None:
    without_block = shapes_of("convnext_tiny")
    assert trunk_net(without_block, (256, 128)) is None
    assert trunk_net({**shapes_of("convnext_atto"), **BLOCK}, (256, 128)) is None
    assert trunk_net({"model._conv_stem.weight": (48, 3, 3, 3), **BLOCK}, (256, 128)) is None
