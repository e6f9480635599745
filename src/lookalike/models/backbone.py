"""A timm backbone for images of a given size, and weights of another size brought to it.

Many transformers are made for one size. Where one does not run at the size asked for, timm is told the size when it
builds the network; where it runs, it is left as it always was, so that weights of earlier runs fit.

Letters in shapes: H height, W width.
"""

import sys
import warnings
from contextlib import nullcontext
from typing import Any

import timm
import torch
from torch import Tensor, nn

from lookalike.errors import ModelError, did_you_mean
from lookalike.models.hub import asked_in_time
from lookalike.models.trunk import in_eval_mode

Size = tuple[int, int]  # height and width, in pixels
_HUB = ("hf-hub:", "hf_hub:", "local-dir:")
_TRIED = 1 << 20  # pixels, above which only networks that are made for one size are tried
_STRIDES = (32, 64, 128, 256)  # sides that are tried when a size does not work


def make_backbone(name: str, size: Size | None = None) -> Any:
    """Builds it with random weights and without classifier.

    Args:
        name: As timm takes it, `hf-hub:...` included.
        size: Of the images; None for timm's own.

    Raises:
        ModelError: timm has no such model, the hub cannot be reached, or it does not run at this size.
    """
    hub = name.startswith(_HUB)
    need_known(name)
    with asked_in_time() if hub else nullcontext():
        return _made(name, size, hub)


def need_known(name: str) -> None:
    """Refuses a name that timm does not know, but for those of a hub.

    Raises:
        ModelError: There is no such model.
    """
    if not name.startswith(_HUB) and not timm.is_model(name):
        raise ModelError(
            f"model.backbone={name}: timm {timm.__version__} has no such model"
            f"{did_you_mean(name, timm.list_models()) or '; timm.list_models() names all'}"
        )


def _made(name: str, size: Size | None, hub: bool) -> Any:
    try:
        backbone = timm.create_model(name, pretrained=False, num_classes=0)
    except Exception as error:  # an unknown tag, such as resnet18.nope; the hub's client raises anything
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0].rstrip(".")
        way_out = "check the name and the connection, or give a name of timm.list_models()" if hub else ""
        raise ModelError(f"model.backbone={name}: {reason}: {way_out or 'timm.list_pretrained() names all'}") from error
    own = own_size(backbone)
    if size is None or size == own or _takes(backbone, size):
        return backbone
    resized = _made_for(name, size)
    if resized is None:
        raise ModelError(_does_not_run(name, size, own))
    return resized


def is_elsewhere(name: str) -> bool:
    """Whether a network is described by what stands in a hub or folder (`hf-hub:...`), not by timm itself."""
    return ":" in name


def own_size(backbone: nn.Module) -> Size:
    """The size that a backbone's pretrained weights are for."""
    height, width = vars(backbone)["pretrained_cfg"]["input_size"][1:]
    return int(height), int(width)


def width_of(backbone: Any) -> int:
    """W, how many values a backbone gives before its classifier."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)


def made_for(backbone: nn.Module) -> Size | None:
    """The size that timm was told when it built this one, None where it was told none."""
    return getattr(backbone, "made_for", None)


def _made_for(name: str, size: Size) -> Any | None:
    """The backbone built for images of this size, None where timm cannot or it does not run."""
    try:
        backbone = timm.create_model(name, pretrained=False, num_classes=0, img_size=size)
    except Exception:  # a family that takes no size, or not this one
        return None
    backbone.made_for = size
    return backbone if _runs(backbone, size) else None


def need_size(backbone: nn.Module, name: str, size: Size, setting: str) -> None:
    """Refuses another size of images than the backbone was made for, where it does not run at it.

    Raises:
        ModelError: It does not.
    """
    if not _takes(backbone, size):
        own = made_for(backbone) or own_size(backbone)
        raise ModelError(
            f"{setting}: {name} runs at {own[0]} x {own[1]} pixels alone, not at {size[0]} x {size[1]}: give "
            f"{setting.partition('=')[0]}=null"
        )


def _takes(backbone: nn.Module, size: Size) -> bool:
    """Whether it runs at this size; of large images that is only tried where a network is made for one size."""
    fixed = vars(backbone)["pretrained_cfg"].get("fixed_input_size", False)
    return (size[0] * size[1] > _TRIED and not fixed) or _runs(backbone, size)


def _runs(backbone: nn.Module, size: Size) -> bool:
    """Whether an image of this size passes."""
    try:
        with in_eval_mode(backbone), torch.no_grad():  # what some keep of it, training may need
            backbone(torch.zeros(1, 3, *size))
    except Exception:  # AssertionError, RuntimeError, IndexError: every family has its own
        return False
    return True


def _does_not_run(name: str, size: Size, own: Size) -> str:
    """What is said of a size that a backbone does not take, with sizes that it does."""
    sides = [tuple(-(-side // stride) * stride for side in size) for stride in _STRIDES]
    tried = dict.fromkeys([*((high, wide) for high, wide in sides), (max(size), max(size))])
    plain = timm.create_model(name, pretrained=False, num_classes=0)
    works = [other for other in tried if other != size and (_runs(plain, other) or _made_for(name, other) is not None)]
    sizes = " or ".join(f"{high} x {wide}" for high, wide in dict.fromkeys([own, *works[:2]]))
    return (
        f"model.backbone={name}: expected images of {sizes} pixels, which it runs at, found {size[0]} x {size[1]}: "
        "give pixels.height and pixels.width, or another backbone"
    )


def resampled(backbone: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a backbone that was trained at another size, brought to this one's by timm's own means.

    Args:
        backbone: Takes them.
        tensors: By its names.

    Returns:
        The same where all shapes fit already, or where timm cannot do it: position embeddings of a grid that is not
        square, say, as the file does not tell its sides.
    """
    wanted: dict[str, Tensor] = backbone.state_dict()
    own = {name: tensor for name, tensor in tensors.items() if name in wanted}
    if all(tensor.shape == wanted[name].shape for name, tensor in own.items()):
        return tensors
    change = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    if change is None:
        return tensors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about how timm calls it
            changed: dict[str, Tensor] = change(dict(own), backbone)
    except Exception:  # what it raises for tensors of another network is its own affair
        return tensors
    return {**tensors, **{name: value for name, value in changed.items() if name in wanted}}
