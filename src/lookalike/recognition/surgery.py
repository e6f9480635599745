"""How a project's network differs from timm's without a tensor that shows it."""

from typing import Any

from torch import nn

from lookalike.errors import ModelError


def own_last_stride(backbone: nn.Module) -> int | None:
    """The stride of the last stage of a ResNet and its kin; None for other networks.

    Args:
        backbone: timm's.
    """
    stage = getattr(backbone, "layer4", None)
    if stage is None:
        return None
    strides = [part.stride for part in stage[0].modules() if isinstance(part, nn.Conv2d)]
    return 2 if (2, 2) in strides else 1


def set_last_stride(backbone: nn.Module, name: str, stride: int) -> None:
    """Sets the stride of the last stage, as re-identification does it: to 1, without dilation.

    Args:
        backbone: timm's.
        name: Its name, for the error.
        stride: 1 or 2.

    Raises:
        ModelError: It has no such stage, or strides that are set otherwise.
    """
    own = own_last_stride(backbone)
    if own == stride:
        return
    if own != 2:
        raise ModelError(
            f"model.last_stride={stride}: expected a ResNet or its kin, whose last stage has a stride, found {name}: "
            "leave it out"
        )
    block: Any = backbone.layer4[0]  # type: ignore[index]
    for part in block.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (2, 2):
            part.stride = (1, 1)
    for place, part in enumerate(block.downsample or ()):
        if isinstance(part, nn.AvgPool2d):
            block.downsample[place] = nn.Identity()


def change(backbone: Any, name: str) -> None:
    """Makes one change to a network in place.

    Args:
        backbone: timm's.
        name: Of the change.
    """
    if name == "max pool without padding":  # as fast-reid's ResNet has it
        backbone.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    elif name == "no last relu":  # DenseNet whose features are pooled as they are
        backbone.features.norm5.act = nn.Identity()
    else:
        raise AssertionError(name)
