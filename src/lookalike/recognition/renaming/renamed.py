"""Tensors of one implementation of a network by the names of another.

Letters in shapes: C channels.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


# CLIP's tokens have no first axis in the files of OpenAI and transformers.
CLIP_TOKENS: tuple[tuple[str, Callable[[Shape], Shape]], ...] = (
    (r"cls_token", lambda shape: (1, 1, *shape)),
    (r"pos_embed", lambda shape: (1, *shape)),
)


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in the file.

    Attributes:
        names: One, or several that are joined along the first axis.
        shape: As the network has it; where the file's is another of as many numbers, they are laid out anew.
        cut: Axis, first and last (exclusive) of what is taken of them; None for all.
        plus: A tensor of which such a part is added to them, as (name, axis, first, last); None for nothing.
    """

    names: tuple[str, ...]
    shape: Shape
    cut: tuple[int, int, int] | None = None
    plus: tuple[str, int, int, int] | None = None


@dataclass(frozen=True)
class Renaming:
    """From the names of a library to those of timm.

    Attributes:
        library: What it is called in messages.
        anchor: A name that each of its networks of this kind has.
        rules: Pattern of a whole name behind the prefix -> name in timm; the first that fits is taken. `name#2` is the
            third of several that are joined into one.
        reshaped: Pattern of names in timm -> what makes timm's shape of the file's.
        finished: Makes timm's places of these, where one tensor of the library is several there.
    """

    library: str
    anchor: str
    rules: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
    reshaped: tuple[tuple[str, Callable[[Shape], Shape]], ...] = ()
    finished: Callable[[dict[str, Place]], dict[str, Place]] | None = None

    def prefixes(self, names: Mapping[str, Shape]) -> Iterator[str]:
        """What stands before its names in a file.

        Args:
            names: Of the file.
        """
        for name in names:
            if name == self.anchor or name.endswith(f".{self.anchor}"):
                yield name.removesuffix(self.anchor)

    def places(self, prefix: str, names: Mapping[str, Shape]) -> dict[str, Place]:
        """Name in timm -> where it stands.

        Args:
            prefix: Before the names.
            names: Of the file.
        """
        places: dict[str, Place] = {}
        parts: dict[str, dict[int, str]] = {}
        for name, shape in names.items():
            if not name.startswith(prefix):
                continue
            renamed = self._renamed(name.removeprefix(prefix))
            if renamed is None:
                continue
            target, _, part = renamed.partition("#")
            if part:
                parts.setdefault(target, {})[int(part)] = name
            else:
                places[target] = Place((name,), self._shape(target, shape))
        for target, pieces in parts.items():
            ordered = tuple(pieces[number] for number in sorted(pieces))
            shapes = [names[name] for name in ordered]
            if len({shape[1:] for shape in shapes}) == 1 and all(shapes):
                places[target] = Place(ordered, (sum(shape[0] for shape in shapes), *shapes[0][1:]))
        return places if self.finished is None else self.finished(places)

    def _renamed(self, name: str) -> str | None:
        for pattern, target in self.rules:
            if match := re.fullmatch(pattern, name):
                return match.expand(target) if isinstance(target, str) else target(match)
        return None

    def _shape(self, name: str, shape: Shape) -> Shape:
        for pattern, change in self.reshaped:
            if re.fullmatch(pattern, name):
                return change(shape)
        return shape
