"""The stride of the last stage of a ResNet, or of the last pooling inside a DenseNet, which no tensor shows."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from lookalike.errors import ModelError


def own_last_stride(network: nn.Module) -> int | None:
    """The stride of the last stage of a ResNet and its kin; None for other networks.

    Args:
        network: With `layer4`, of blocks of convolutions.
    """
    convolutions = list(_strided(network))
    return int(convolutions[0].stride[0]) if convolutions else None


def tail_pool(network: nn.Module) -> nn.AvgPool2d | None:
    """The pooling before the last stage of a DenseNet, which Person_reID_baseline_pytorch's `stride` is of.

    Args:
        network: With a DenseNet in it.
    """
    pools = [getattr(getattr(part, "transition3", None), "pool", None) for part in network.modules()]
    return next((pool for pool in pools if isinstance(pool, nn.AvgPool2d)), None)


def set_last_stride(network: nn.Module, name: str, stride: int) -> None:
    """Sets the stride of the last stage, as re-identification does it: without dilation.

    Args:
        network: With a ResNet or a DenseNet in it.
        name: Its name, for the error.
        stride: 1 or 2.

    Raises:
        ModelError: It has no such stage.
    """
    if pool := tail_pool(network):
        pool.stride = stride
        return
    trunk = next((part for part in network.modules() if hasattr(part, "layer4")), network)
    convolutions = list(_strided(trunk))
    if not convolutions:
        raise ModelError(
            f"model.last_stride={stride}: expected a ResNet or its kin, whose last stage has a stride, found {name}: "
            "leave it out"
        )
    if own_last_stride(trunk) == stride:
        return
    for convolution in convolutions:
        convolution.stride = (stride, stride)
    block: Any = trunk.layer4[0]  # type: ignore[index]
    for place, part in enumerate(block.downsample or ()):
        if isinstance(part, nn.AvgPool2d):
            block.downsample[place] = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()


def _strided(network: nn.Module) -> Iterator[nn.Conv2d]:
    """The convolutions of the first block of the last stage that have its stride."""
    stage: Any = getattr(network, "layer4", None)
    if not isinstance(stage, nn.Sequential) or not hasattr(stage[0], "conv2"):
        return
    block: Any = stage[0]
    yield block.conv2 if hasattr(block, "conv3") else block.conv1
    shortcut = block.downsample if isinstance(block.downsample, nn.Sequential) else ()
    pooled = any(isinstance(part, nn.AvgPool2d) for part in shortcut)
    yield from (part for part in shortcut if isinstance(part, nn.Conv2d) and not pooled)
