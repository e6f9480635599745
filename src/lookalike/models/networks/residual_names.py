"""What a residual network is made of, read from the names and shapes of its tensors."""

import re
from collections.abc import Mapping
from dataclasses import replace

from lookalike.models.networks.residual import ResidualOptions

Shapes = Mapping[str, tuple[int, ...]]


def residual_options(shapes: Shapes, base: ResidualOptions | None = None) -> ResidualOptions | None:
    """Reads the options that leave a trace in names and shapes; None where they are of no such network.

    Args:
        shapes: Name -> shape, the names as torchvision has them (`layer1.0.conv1.weight`).
        base: Gives what leaves no trace: stride of the last stage, relu of the stem, padding of its pooling.
    """
    counts = _counts(shapes, r"layer([1-4])\.(\d+)\.conv1\.weight")
    stem, middle = shapes.get("conv1.weight", ()), shapes.get("layer1.0.conv2.weight", ())
    if len(stem) != 4 or stem[2:] != (7, 7) or len(middle) != 4 or not all(counts):
        return None
    last = counts[0] - 1
    bottleneck = "layer1.0.conv3.weight" in shapes
    if not middle[1] or not stem[0] or middle[0] % middle[1]:
        return None
    groups = middle[0] // middle[1] if bottleneck else 1
    mixed = sum(f"layer{stage}.0.bn1.IN.weight" in shapes for stage in range(1, 5))
    non_local = _counts(shapes, r"NL_([1-4])\.(\d+)\.g\.weight")
    inner = next((shape[0] for name, shape in shapes.items() if re.fullmatch(r"NL_\d\.\d+\.g\.weight", name)), 1)
    return replace(
        base or ResidualOptions(),
        layers=counts,
        bottleneck=bottleneck,
        ibn="a" if mixed else "b" if f"layer1.{last}.IN.weight" in shapes else "",
        ibn_stages=mixed or 3,
        squeeze="layer1.0.se.fc.0.weight" in shapes,
        non_local=non_local,
        non_local_inner=inner,
        groups=groups,
        group_width=middle[0] * 64 // (stem[0] * groups) if bottleneck else 64,
        width=stem[0],
    )


def _counts(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """How many blocks each of four stages has, by names whose groups are stage and block, both numbers."""
    blocks: dict[int, set[int]] = {stage: set() for stage in range(1, 5)}
    for name in shapes:
        if match := re.fullmatch(pattern, name):
            blocks[int(match[1])].add(int(match[2]))
    return tuple(len(blocks[stage]) for stage in range(1, 5))
