"""torchvision's names, of networks as it builds them: each tensor has one place, and those of timm are all filled."""

import pytest
import torch
import torchvision

from lookalike.recognition.backbones import find_backbones
from lookalike.recognition.renaming.torchvision import RENAMINGS


@pytest.mark.parametrize(
    ("name", "architecture", "head"),
    [
        ("vit_b_16", "vit_base_patch16_224", "heads."),
        ("vit_l_32", "vit_large_patch32_224", "heads."),
        ("swin_s", "swin_small_patch4_window7_224", "head."),
        ("convnext_base", "convnext_base", "classifier.2."),
        ("efficientnet_b3", "efficientnet_b3", "classifier."),
        ("efficientnet_b7", "efficientnet_b7", "classifier."),
        ("resnext50_32x4d", "resnext50_32x4d", "fc."),
        ("wide_resnet50_2", "wide_resnet50_2", "fc."),
        ("densenet169", "densenet169", "classifier."),
    ],
)
def test_every_tensor_but_the_classifier_has_a_place(name: str, architecture: str, head: str) -> None:
    with torch.device("meta"):
        network = getattr(torchvision.models, name)()
    shapes = {
        f"model.{key}": tuple(value.shape)
        for key, value in network.state_dict().items()
        if not key.endswith(("num_batches_tracked", "relative_position_index"))
    }
    (match, *others), _ = find_backbones(shapes)
    assert not others
    assert architecture in (match.architecture, *match.same, *match.others)
    assert {key for key in shapes if key not in match.used} == {
        key for key in shapes if key.startswith(f"model.{head}")
    }


def test_each_kind_has_a_name_of_its_own_to_begin_with() -> None:
    anchors = [renaming.anchor for renaming in RENAMINGS]
    assert len(set(anchors)) == len(anchors)
