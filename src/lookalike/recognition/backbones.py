"""Which known network stands in a file, and under which names: every tensor of it, each with its exact shape.

Letters in shapes: H height, W width.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lookalike.recognition.catalogue import (
    architectures,
    depends_on_size,
    mark,
    outline,
    sampled,
    unfilled,
    whole_sample,
)
from lookalike.recognition.facts import Source
from lookalike.recognition.renaming.children import of_children
from lookalike.recognition.renaming.renamed import Place, Renaming, Shape
from lookalike.recognition.renaming.tables import RENAMINGS

_PLAIN = "timm"
_ALIKE = re.compile(r"(drop_path\d?|drop\d?|attn_drop|proj_drop|pos_drop|patch_drop|head_drop)\): .*")


@dataclass(frozen=True)
class View:
    """The tensors of a file by timm's names, as far as one way to read them goes.

    Attributes:
        library: Whose names they are.
        prefix: What stands before them in the file.
        places: Name in timm -> where it stands.
    """

    library: str
    prefix: str
    places: dict[str, Place]


@dataclass(frozen=True)
class Match:
    """A network that is wholly there.

    Attributes:
        architecture: timm's name.
        view: Where its tensors stand.
        places: Name in the network -> where it stands; all of them.
        others: Architectures whose names and shapes fit as well and that compute something else.
        same: Other names of timm for the same network.
        resized: Tensors whose shape depends on the size of the images, and is not that of the architecture.
        source: What decided between networks of the same tensors.
        evidence: What says so, empty where the tensors do.
    """

    architecture: str
    view: View
    places: dict[str, Place]
    others: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    source: Source = "shapes"
    evidence: str = ""

    @property
    def used(self) -> set[str]:
        """Names in the file."""
        return {name for place in self.places.values() for name in place.names}


@dataclass(frozen=True)
class Near:
    """The network that comes nearest to what is there, for a refusal.

    Attributes:
        architecture: timm's name.
        view: As it was read.
        share: Of its sample that is there, 0 to 1.
    """

    architecture: str
    view: View
    share: float

    def differences(self, most: int = 4) -> list[str]:
        """The first tensors that are missing or of another shape.

        Args:
            most: How many.
        """
        lines = []
        for name, shape in outline(self.architecture).items():
            place = self.view.places.get(name)
            if place is None:
                lines.append(f"{self.view.prefix}{name} is missing")
            elif place.shape != shape and not depends_on_size(name):
                lines.append(
                    f"{', '.join(place.names)} is {shown(place.shape)}, {self.architecture} has {shown(shape)}"
                )
            if len(lines) == most:
                break
        return lines


def shown(shape: Shape) -> str:
    """A shape as it is printed, such as `64 x 3 x 7 x 7`.

    Args:
        shape: Of a tensor.
    """
    return " x ".join(map(str, shape)) or "one value"


def find_backbones(shapes: Mapping[str, Shape], named: str = "") -> tuple[list[Match], Near | None]:
    """All networks that are wholly in a file, the largest first, one for each prefix; and what comes near.

    Args:
        shapes: Name in the file -> shape.
        named: timm's name of the one that a person says is there: its parts may be numbered, and it alone may be near.
    """
    matches: dict[str, Match] = {}
    nearest: Near | None = None
    for view, counts in _views(shapes, _own_renamings(named)):
        match = _largest(view, counts)
        if match is None:
            for name, count in [(named, counts[named])] if named in counts else counts.most_common(1):
                share = count / whole_sample(name)
                if nearest is None or share > nearest.share:
                    nearest = Near(name, view, share)
        elif view.prefix not in matches or len(match.places) > len(matches[view.prefix].places):
            matches[view.prefix] = match
    inside = {other.view.prefix for other in matches.values() for match in matches.values() if _holds(match, other)}
    kept = [match for prefix, match in matches.items() if prefix not in inside]
    return sorted(kept, key=lambda match: -len(match.places)), nearest


def _holds(match: Match, other: Match) -> bool:
    """Whether a match has all tensors of a smaller one."""
    return len(match.places) > len(other.places) and other.used <= match.used


def _own_renamings(named: str) -> tuple[Renaming, ...]:
    """Of a network that a person names, whose parts may be numbered."""
    if named not in architectures():
        return ()
    children = [name for name, _ in unfilled(named).named_children()]
    return of_children(children, outline(named))


def _views(shapes: Mapping[str, Shape], more: tuple[Renaming, ...]) -> Iterator[tuple[View, Counter[str]]]:
    """Every way to read the names that some architecture's sample answers to."""
    marks: dict[str, list[int]] = {}
    for name, shape in shapes.items():
        for cut in [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")][:8]:
            marks.setdefault(name[:cut], []).append(mark(name[cut:], shape))
    for prefix, numbers in marks.items():
        if len(numbers) < 4:
            continue
        counts = sampled(numbers)
        if counts and counts.most_common(1)[0][1] >= 3:
            places = {
                name.removeprefix(prefix): Place((name,), shape)
                for name, shape in shapes.items()
                if name.startswith(prefix)
            }
            yield View(_PLAIN, prefix, places), counts
    for renaming in (*RENAMINGS, *more):
        for prefix in dict.fromkeys(renaming.prefixes(shapes)):
            yield from _renamed(renaming, prefix, shapes)


def _renamed(renaming: Renaming, prefix: str, shapes: Mapping[str, Shape]) -> Iterator[tuple[View, Counter[str]]]:
    places = renaming.places(prefix, shapes)
    counts = sampled(mark(name, place.shape) for name, place in places.items())
    if counts:
        yield View(renaming.library, prefix, places), counts


def _largest(view: View, counts: Counter[str]) -> Match | None:
    """The architecture with most tensors of those that are wholly there, and those that fit as well."""
    whole = [name for name, count in counts.items() if count == whole_sample(name)]
    fits: list[tuple[str, dict[str, Shape]]] = []
    for name in sorted(whole, key=lambda name: -architectures()[name][0]):
        if fits and architectures()[name][0] < len(fits[0][1]):
            break
        shapes = outline(name)
        there = all(
            (place := view.places.get(tensor)) is not None and (place.shape == shape or depends_on_size(tensor))
            for tensor, shape in shapes.items()
        )
        if there:
            fits.append((name, shapes))
    if not fits:
        return None
    fewest = min(len(_resized(view, shapes)) for _, shapes in fits)
    chosen = [fit for fit in fits if len(_resized(view, fit[1])) == fewest]
    first, shapes = min(chosen, key=lambda fit: (len(fit[0]), fit[0]))
    own = _computes(first)
    same = [name for name, _ in chosen if name != first and _computes(name) == own]
    others = [name for name, _ in chosen if name != first and name not in same]
    return Match(first, view, {name: view.places[name] for name in shapes}, others, same, _resized(view, shapes))


def _resized(view: View, shapes: dict[str, Shape]) -> list[str]:
    return [name for name, shape in shapes.items() if view.places[name].shape != shape]


def _computes(name: str) -> str:
    """What a network does, without what only training does: two of one text compute the same from the same tensors."""
    return _ALIKE.sub("", str(unfilled(name)))
