"""A network run in two halves: the frozen trunk, whose output never changes for the same pixels, and the rest.

What enters the first trained stage is all that the rest is given. What a backbone's own forward does between stages (a
class token, position embeddings, rotations of tokens) is run again in the second half, on blanks in place of what the
frozen stages would make; what comes out is dropped, but the tables that later stages need are there. Whether the halves
are the whole is never assumed but tried.

Letters in shapes: B batch, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.errors import LookalikeError, one_line

SEQUENCES = (nn.Sequential, nn.ModuleList)


class NotSplitError(LookalikeError):
    """A network whose front is frozen cannot be run in two halves; the text says where and why."""


@dataclass(frozen=True)
class Stage:
    """A part of a backbone in the order it runs.

    Attributes:
        name: `layer3`, or `blocks.4` of a sequence.
        module: It.
        blank: What stands for its output of one image: None where it hands its input on.
        constant: It was given no tensor (a table of relative positions), so it runs in both halves.
    """

    name: str
    module: nn.Module
    blank: object = None
    constant: bool = False

    @property
    def weighty(self) -> bool:
        """Whether it has weights."""
        return any(True for _ in self.module.parameters())


@dataclass(frozen=True)
class Trunk:
    """Where a backbone is split.

    Attributes:
        front: The frozen stages in the order they run.
        end: The first trained stage.
        size: Height and width of the images; None, for any, where nothing but one tensor goes from stage to stage.
        entry: Shape of what enters `end`, of one image.
    """

    front: list[Stage]
    end: Stage
    size: tuple[int, int] | None
    entry: tuple[int, ...]

    def run(self, backbone: nn.Module, pixels: Tensor) -> Tensor:
        """The first half: the input that `end` gets, without running it or anything behind it."""
        if self.size not in (None, tuple(pixels.shape[2:])):
            raise ValueError(f"expected images of {self.size} pixels, found {tuple(pixels.shape[2:])}")

        def stop(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            raise _Reached(inputs)

        handle = self.end.module.register_forward_pre_hook(stop)
        try:
            backbone(pixels)
        except _Reached as reached:
            features: Tensor = reached.inputs[0]
            return features
        finally:
            handle.remove()
        raise AssertionError("a stage that was found by running the backbone was not reached")

    def rest(self, backbone: nn.Module, features: Tensor) -> Tensor:
        """The second half: what the backbone makes of that input."""
        if self.size is None:
            with _bypassed(self.front):
                whole: Tensor = backbone(features)
            return whole
        if features.shape[1:] != self.entry:
            raise ValueError(f"expected {list(self.entry)} of an image, found {list(features.shape[1:])}")

        def enter(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            handle.remove()  # a stage that runs again gets what comes then
            return features, *inputs[1:]

        handle = self.end.module.register_forward_pre_hook(enter)
        pixels = features.new_zeros(()).expand(len(features), 3, *self.size)
        try:
            with _bypassed(self.front, len(features)):
                behind: Tensor = backbone(pixels)
            return behind
        finally:
            handle.remove()


class _Reached(Exception):  # noqa: N818 (no error: it ends a forward pass early)
    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs


def frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest submodules none of whose parameters is trained."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from frozen_parts(child)


def frozen_trunk(backbone: nn.Module, size: tuple[int, int]) -> Trunk | None:
    """Where a backbone is split: before the first trained stage.

    Args:
        backbone: A timm model whose frozen parameters are marked.
        size: Height and width of its images.

    Returns:
        None where no weights are frozen in front of what is trained.

    Raises:
        NotSplitError: The halves would not be the whole, bit for bit.
    """
    if all(parameter.requires_grad for parameter in backbone.parameters()):
        return None
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, *size, generator=generator)
    with torch.no_grad(), _as_if_trained(backbone, generator):
        front, end, inputs, straight = _front(backbone, pixels[:1])
        if not any(stage.weighty for stage in front):
            return None
        if end is None:
            raise NotSplitError("what is trained is no stage that runs by itself")
        if not inputs or not isinstance(inputs[0], Tensor):
            raise NotSplitError(f"more than one tensor goes from stage to stage before {end.name}")
        if len({id(stage.module) for stage in front}) < len(front):
            raise NotSplitError(f"a stage runs more than once before {end.name}")
        trunk = Trunk(front, end, None if straight else size, tuple(inputs[0].shape[1:]))
        if reason := _differs(backbone, trunk, pixels):
            raise NotSplitError(f"at {end.name}: {reason}")
    return trunk


def _differs(backbone: nn.Module, trunk: Trunk, pixels: Tensor) -> str:
    """Why the halves are not the whole; empty where they are."""
    whole, features = backbone(pixels), trunk.run(backbone, pixels)
    if features.shape != (len(pixels), *trunk.entry):
        return "what enters it has not one row per image"
    try:
        same = torch.equal(trunk.rest(backbone, features.clone()), whole)
    except Exception as error:  # an unusual backbone raises anything when it is fed from the middle
        return one_line(error)
    return "" if same else "what is behind needs more than what enters it"


def _front(backbone: nn.Module, pixels: Tensor) -> tuple[list[Stage], Stage | None, tuple[Any, ...], bool]:
    """What runs before the first trained stage, that stage, what it is given, and whether nothing runs in between."""
    front: list[Stage] = []
    ends: list[Stage] = []
    straight: list[bool] = []
    last: list[object] = [pixels]
    handles = []

    def begin(name: str, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        straight.append(len(inputs) == 1 and inputs[0] is last[0] and not named)
        if any(parameter.requires_grad for parameter in module.parameters()):
            ends.append(Stage(name, module))
            raise _Reached(inputs)

    def finish(name: str, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: object) -> None:
        given = next((value for value in [*inputs, *named.values()] if isinstance(value, Tensor)), None)
        same = isinstance(output, Tensor) and given is not None and output.shape == given.shape
        front.append(Stage(name, module, None if same else output, constant=given is None))
        last[0] = output

    for name, module in _parts(backbone):
        handles += [
            module.register_forward_pre_hook(partial(begin, name), with_kwargs=True),
            module.register_forward_hook(partial(finish, name), with_kwargs=True),
        ]
    try:
        backbone(pixels)
    except _Reached as reached:
        return front, ends[0], reached.inputs, all(straight)
    finally:
        for handle in handles:
            handle.remove()
    return front, None, (), False


def _parts(backbone: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Children, those of a sequence instead of it."""
    for name, child in backbone.named_children():
        if isinstance(child, SEQUENCES):
            yield from ((f"{name}.{part}", inner) for part, inner in child.named_children())
        else:
            yield name, child


@contextmanager
def _bypassed(stages: list[Stage], blanks_for: int | None = None) -> Iterator[None]:
    """Lets stages hand their input on, or blanks for so many images where what they make has another shape."""
    replaced = [stage for stage in stages if blanks_for is None or not stage.constant]
    for stage in replaced:
        same = blanks_for is None or stage.blank is None
        stage.module.forward = _handed_on if same else partial(_blank, stage.blank, blanks_for or 0)
    try:
        yield
    finally:
        for stage in replaced:
            del stage.module.forward


def _handed_on(features: object, *_: object, **__: object) -> object:
    return features


def _blank(output: object, images: int, features: Tensor, *_: object, **__: object) -> object:
    """Zeros in the shape of an output that was made of one image."""
    if isinstance(output, Tensor):
        kind = features.dtype if output.is_floating_point() else output.dtype
        return torch.zeros(images * len(output), *output.shape[1:], dtype=kind, device=features.device)
    if isinstance(output, tuple | list):
        inner = [_blank(part, images, features) for part in output]
        return inner if isinstance(output, list) else tuple(inner)
    return output


@contextmanager
def _as_if_trained(backbone: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Evaluation mode, and other numbers in weights that start as one number; both are as before behind the block.

    A branch that starts at zero would hide what it is given.
    """
    constant = [value for value in backbone.parameters() if value.numel() and value.min() == value.max()]
    before = [value.clone() for value in constant]
    with in_eval_mode(backbone):
        try:
            for value in constant:
                value.add_(0.1 * torch.rand(value.shape, generator=generator))
            yield
        finally:
            for value, number in zip(constant, before, strict=True):
                value.copy_(number)


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; behind it every part has its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
