"""A network run in two halves: the frozen trunk, whose output never changes for the same pixels, and the rest.

Letters in shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.models.backbone import made_for

SEQUENCES = (nn.Sequential, nn.ModuleList)


def frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest submodules none of whose parameters is trained."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from frozen_parts(child)


class _Reached(Exception):  # noqa: N818 (no error: it ends a forward pass early)
    def __init__(self, features: Tensor) -> None:
        self.features = features


def run_until(backbone: nn.Module, stage: nn.Module, pixels: Tensor) -> Tensor:
    """The input that `stage` gets, without running it or anything behind it."""

    def stop(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _Reached(inputs[0])

    handle = stage.register_forward_pre_hook(stop)
    try:
        backbone(pixels)
    except _Reached as reached:
        return reached.features
    finally:
        handle.remove()
    raise AssertionError("a stage that was found by running the backbone was not reached")


@contextmanager
def bypassed(modules: list[nn.Module]) -> Iterator[None]:
    """Lets modules hand their input through unchanged."""
    for module in modules:
        module.forward = _pass_through
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _pass_through(features: Tensor, *_: object, **__: object) -> Tensor:
    return features


def frozen_trunk(backbone: Any) -> list[tuple[str, nn.Module]]:
    """Stages in the order they run, up to and with the first trained one; empty unless the halves equal the whole.

    Backbones whose forward does more than pass one tensor from stage to stage (a position embedding, say) fail the
    comparison and are simply not split.
    """
    order: list[tuple[str, nn.Module]] = []
    parts = [
        (f"{name}.{part}", inner) if isinstance(child, SEQUENCES) else (name, child)
        for name, child in backbone.named_children()
        for part, inner in (child.named_children() if isinstance(child, SEQUENCES) else [("", child)])
    ]
    handles = [
        module.register_forward_pre_hook(lambda _, __, entry=entry: order.append(entry))
        for entry in parts
        for module in (entry[1],)
    ]
    side = max(32, backbone.pretrained_cfg["input_size"][1])
    pixels = torch.rand(2, 3, *(made_for(backbone) or (side, side)), generator=torch.Generator().manual_seed(0))
    modes = [(module, module.training) for module in backbone.modules()]
    try:
        backbone.eval()
        with torch.no_grad():
            whole = backbone(pixels)
            for handle in handles:
                handle.remove()
            first = next(
                (i for i, (_, m) in enumerate(order) if any(p.requires_grad for p in m.parameters())), len(order)
            )
            trunk = order[: first + 1]
            weighty = any(True for _, stage in order[:first] for _ in stage.parameters())
            if not weighty or first == len(order) or len({id(stage) for _, stage in trunk}) < len(trunk):
                return []
            features = run_until(backbone, trunk[-1][1], pixels)
            with bypassed([module for _, module in trunk[:-1]]):
                return trunk if torch.equal(backbone(features), whole) else []
    except Exception:  # an unusual backbone is not split, whatever it raises when fed from the middle
        return []
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
