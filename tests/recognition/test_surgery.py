"""The stride of the last stage is set without dilation, and only where there is one."""

import pytest
import timm
import torch

from lookalike.errors import ModelError
from lookalike.recognition.surgery import own_last_stride, set_last_stride, tail_pool


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet18d", "seresnext50_32x4d"])
def test_the_last_stage_keeps_its_resolution(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0, global_pool="")
        images = torch.zeros(1, 3, 64, 64)
        assert own_last_stride(network) == 2
        assert network(images).shape[2:] == (2, 2)
        set_last_stride(network, name, 1)
        assert own_last_stride(network) == 1
        assert network(images).shape[2:] == (4, 4)
        assert {part.dilation for part in network.layer4.modules() if isinstance(part, torch.nn.Conv2d)} == {(1, 1)}
        set_last_stride(network, name, 2)
        assert network(images).shape[2:] == (2, 2)


def test_a_network_without_such_a_stage_is_refused() -> None:
    with torch.device("meta"):
        network = timm.create_model("test_vit")
    assert own_last_stride(network) is None
    with pytest.raises(
        ModelError, match=r"model\.last_stride=1: expected a ResNet or its kin, .* found test_vit: leave"
    ):
        set_last_stride(network, "test_vit", 1)


def test_a_dense_network_keeps_its_resolution_behind_its_last_pooling() -> None:
    with torch.device("meta"):
        network = timm.create_model("densenet121", num_classes=0, global_pool="")
        hr = timm.create_model("hrnet_w18", num_classes=0)
        assert network(torch.zeros(1, 3, 64, 64)).shape[2:] == (2, 2)
        set_last_stride(network, "densenet121", 1)
        assert network(torch.zeros(1, 3, 64, 64)).shape[2:] == (3, 3)
    assert tail_pool(hr) is None
