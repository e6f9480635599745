"""Which architectures of timm a set of names and shapes may be: a table of samples, one line an architecture.

`architectures.txt` holds for every architecture of timm how many tensors it has and a sample of them, as checksums of
name and shape. Whose sample is not wholly there is not built; whose is, is built without numbers and compared whole.
The table is only a short cut: nothing is recognised by it alone.

Written anew by `python -m lookalike.recognition.catalogue` when timm is updated.
"""

import functools
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import timm
import torch
from torch import nn

Shape = tuple[int, ...]
TABLE = Path(__file__).with_name("architectures.txt")
_SAMPLE = 12
_OF_THE_SIZE = re.compile(
    r"(^|\.)(pos_embed\w*|rel_pos\w*|relative_position\w*|relative_coords\w*|attn_mask|rope\w*)($|\.)"
)
_COUNT = "num_batches_tracked"


def mark(name: str, shape: Iterable[int]) -> int:
    """A checksum of a tensor's name and shape.

    Args:
        name: In the backbone.
        shape: Of the tensor.
    """
    return crc32(f"{name} {tuple(shape)}".encode())


def depends_on_size(name: str) -> bool:
    """Whether a tensor has another shape for images of another size."""
    return bool(_OF_THE_SIZE.search(name))


@functools.cache
def architectures() -> dict[str, tuple[int, tuple[int, ...]]]:
    """Name -> number of tensors and the checksums of some of them."""
    table = {}
    for line in TABLE.read_text(encoding="ascii").splitlines():
        name, count, *marks = line.split()
        table[name] = (int(count), tuple(int(text, 16) for text in marks))
    return table


@functools.cache
def _holders() -> dict[int, tuple[str, ...]]:
    """Checksum -> the architectures in whose sample it is."""
    holders: dict[int, list[str]] = {}
    for name, (_, marks) in architectures().items():
        for number in marks:
            holders.setdefault(number, []).append(name)
    return {number: tuple(names) for number, names in holders.items()}


def sampled(marks: Iterable[int]) -> Counter[str]:
    """Architecture -> how much of its sample is there, from 0 to 1 in twelfths.

    Args:
        marks: Checksums of what is there.
    """
    counts: Counter[str] = Counter()
    holders = _holders()
    for number in set(marks):
        counts.update(holders.get(number, ()))
    return counts


def whole_sample(name: str) -> int:
    """How many checksums the sample of an architecture has."""
    return len(architectures()[name][1])


@functools.lru_cache(maxsize=64)
def outline(name: str, size: tuple[int, int] | None = None) -> dict[str, Shape]:
    """Name -> shape of every tensor of an architecture without classifier, built without numbers.

    Args:
        name: timm's.
        size: Height and width of the images, for those that are made for one.
    """
    return shapes_of(unfilled(name, size))


def unfilled(name: str, size: tuple[int, int] | None = None) -> nn.Module:
    """The network on torch's device without numbers.

    Args:
        name: timm's.
        size: Height and width of the images, for those that are made for one.
    """
    more: dict[str, Any] = {"img_size": size} if size else {}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **more)
    return network


def shapes_of(network: nn.Module) -> dict[str, Shape]:
    """Name -> shape of every tensor that a checkpoint of a network must have."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items() if not name.endswith(_COUNT)}


def write_table(file: Path = TABLE) -> None:
    """Writes the table for the installed timm.

    Args:
        file: Of the table.
    """
    lines = []
    for name in timm.list_models():
        try:
            shapes = shapes_of(unfilled(name))
        except Exception:  # a few cannot be made without numbers
            continue
        lines.append(table_line(name, shapes))
    file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def table_line(name: str, shapes: Mapping[str, Shape]) -> str:
    """An architecture's line: its name, how many tensors it has, the smallest checksums among them.

    Args:
        name: timm's.
        shapes: Of all its tensors.
    """
    marks = sorted(mark(tensor, shape) for tensor, shape in shapes.items() if not depends_on_size(tensor))
    return f"{name} {len(shapes)} {' '.join(f'{number:08x}' for number in marks[:_SAMPLE])}"


if __name__ == "__main__":
    write_table()
