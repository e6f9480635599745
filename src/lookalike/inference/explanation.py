"""Why two images are alike, as an object: which regions of them make their cosine, and the picture of that.

Letters in shapes: H and W rows and columns of regions, of the image (a) and of the other (b).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lookalike.data.orientation import Pixels
from lookalike.inference.heat import centre_of, lit
from lookalike.inference.picture import write_line
from lookalike.inference.prediction_json import ExplanationJson, Method, read_back
from lookalike.palette import INK, PAPER, SOFT
from lookalike.terminal import visible_line

AGREES = 1e-3  # of two cosines of the same images in the same arithmetic
_MATCHES = 5  # that stand in JSON
_DRAWN = 3  # that are numbered in a picture
_SIDE, _GAP, _TEXT, _MARK = 336, 12, 44, 13
_FOLDERS = 3  # of a path that are shown, its name among them
_DIGITS = 5  # of a region in JSON


class Match(NamedTuple):
    """A region of the image and one of the other that look alike.

    Attributes:
        image: Row and column, from 0.
        other: Likewise.
        similarity: What this pair adds to the cosine.
    """

    image: tuple[int, int]
    other: tuple[int, int]
    similarity: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which regions of two images make them alike.

    Attributes:
        image: Its name.
        other: Name of the other.
        similarity: The cosine that was computed, or that a gallery told, -1 to 1.
        explained: The cosine that the maps are of: by `exact`, `constant` and the sum of all regions of either image;
            by `occlusion`, that of the two pictures.
        constant: What no region adds: biases of the network. 0 by `occlusion`.
        method: `exact`: the cosine as a sum over the positions of the last feature maps. `occlusion`: by how much it
            falls when a region is painted over.
        regions: Two float32 [H, W]: what each region of the image, and of the other, adds to the cosine.
        pairs: float32 [Ha, Wa, Hb, Wb], what each pair of regions adds; None by `occlusion`, and where only JSON is.
        matches: The pairs that add most, see `strongest`; none by `occlusion`.
        precision: Of the arithmetic that `similarity` was computed in.
        map_precision: Of that which the maps were computed in.
        reason: Why not `exact`; else empty.
        from_small_picture: Whether the other image is the small picture that a gallery keeps, not its file.
        pictures: Both as the network sees them, uint8 [height, width, 3]; None where it was read back from JSON.
    """

    image: str
    other: str
    similarity: float
    explained: float
    constant: float
    method: Method
    regions: tuple[np.ndarray, np.ndarray] = field(repr=False)
    pairs: np.ndarray | None = field(default=None, repr=False)
    matches: tuple[Match, ...] = field(default=(), repr=False)
    precision: str = "float32"
    map_precision: str = "float32"
    reason: str = ""
    from_small_picture: bool = False
    pictures: tuple[Pixels, Pixels] | None = field(default=None, repr=False)

    @property
    def note(self) -> str:
        """Why `explained` is another cosine than `similarity`; empty where it is the same."""
        if abs(self.explained - self.similarity) <= AGREES:
            return ""
        reasons = []
        if self.precision != self.map_precision:
            reasons.append(f"it was computed in {self.precision}, the maps in {self.map_precision}")
        if self.from_small_picture:
            reasons.append("the maps are of the small picture that the gallery keeps")
        why = " and ".join(reasons) or "an image is not as it was, or was enrolled with a box"
        return f"the maps make {self.explained:.4f}, the similarity is {self.similarity:.4f}: {why}"

    def heat(self, which: int) -> Pixels | None:
        """A picture in which the regions that count are lit, uint8 [height, width, 3]; None without pictures.

        Args:
            which: 0 for the image, 1 for the other.
        """
        return None if self.pictures is None else lit(self.pictures[which], self.regions[which])

    def figure(self) -> Image.Image:
        """Both pictures as the network sees them, with what counts lit; the strongest pairs have a number.

        Raises:
            ValueError: It was read back from JSON, which holds no pictures.
        """
        if self.pictures is None:
            raise ValueError("no pictures to draw: an explanation that was read back from JSON has none")
        sheet = Image.new("RGB", (3 * _GAP + 2 * _SIDE, 2 * _GAP + _SIDE + _TEXT), PAPER.light)
        draw = ImageDraw.Draw(sheet)
        for which, name in enumerate((self.image, self.other)):
            left, lighted = _GAP + which * (_SIDE + _GAP), lit(self.pictures[which], self.regions[which])
            high, wide = (round(side * _SIDE / max(lighted.shape[:2])) for side in lighted.shape[:2])
            sheet.paste(Image.fromarray(lighted).resize((wide, high), Image.Resampling.BICUBIC), (left, _GAP))
            for number, match in enumerate(self.matches[:_DRAWN], start=1):
                x, y = centre_of((match.image, match.other)[which], self.regions[which].shape, (high, wide))
                _draw_mark(draw, left + x, _GAP + y, number)
            write_line(draw, left, _GAP + _SIDE + 4, _short(name), 15, INK.light, _SIDE)
        write_line(draw, _GAP, _GAP + _SIDE + 24, self._line(), 12, SOFT.light, 2 * _SIDE + _GAP)
        return sheet

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without pictures; of all pairs the strongest."""
        maps = [np.round(regions.astype(np.float64), _DIGITS).tolist() for regions in self.regions]
        matches = [
            {"image": list(near.image), "other": list(near.other), "similarity": near.similarity}
            for near in self.matches
        ]
        return {
            "image": self.image,
            "other": self.other,
            "similarity": self.similarity,
            "explained": self.explained,
            "constant": self.constant,
            "method": self.method,
            "precision": self.precision,
            "map_precision": self.map_precision,
            "from_small_picture": self.from_small_picture,
            **({"reason": self.reason} if self.reason else {}),
            "image_regions": maps[0],
            "other_regions": maps[1],
            "matches": matches,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Explanation":
        """What `to_dict` gave: without pictures and pairs.

        Raises:
            NoPredictionError: Something is missing or of another kind.
        """
        return cls.of(read_back(ExplanationJson, values))

    @classmethod
    def of(cls, given: ExplanationJson) -> "Explanation":
        """The same, read already.

        Args:
            given: As it stood in JSON.
        """
        maps = np.array(given.image_regions, np.float32), np.array(given.other_regions, np.float32)
        own = {name: getattr(given, name) for name in _PLAIN}
        matches = tuple(Match(near.image, near.other, near.similarity) for near in given.matches)
        return cls(**own, regions=maps, matches=matches)

    def without_pictures(self) -> "Explanation":
        """The same without pictures and pairs, which take much memory: all that JSON holds."""
        return replace(self, pictures=None, pairs=None)

    def _line(self) -> str:
        sums = f", of which {self.constant:.3f} by no region" if abs(self.constant) >= AGREES else ""
        how = "sum over regions" if self.method == "exact" else "by what falls when a region is painted over"
        return f"similarity {self.similarity:.3f}; maps of {self.explained:.3f}{sums} ({how})"

    def __str__(self) -> str:
        return visible_line(f"{self.image} and {self.other}: {self._line()}")

    def __repr__(self) -> str:
        return f"Explanation({self})"

    def _repr_png_(self) -> bytes | None:
        """In a notebook: the picture."""
        return None if self.pictures is None else self.figure()._repr_png_()


_PLAIN = (
    *("image", "other", "similarity", "explained", "constant", "method", "precision", "map_precision", "reason"),
    "from_small_picture",
)


def strongest(pairs: np.ndarray, most: int = _MATCHES) -> tuple[Match, ...]:
    """The pairs of regions that add most, each region at most once, the strongest first.

    Args:
        pairs: float [Ha, Wa, Hb, Wb].
        most: How many.
    """
    grids = pairs.shape[:2], pairs.shape[2:]
    left = pairs.reshape(grids[0][0] * grids[0][1], -1).copy()
    made: list[Match] = []
    for _ in range(min(most, *left.shape)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        if not left[row, column] > 0:
            break
        made.append(Match(divmod(row, grids[0][1]), divmod(column, grids[1][1]), float(left[row, column])))
        left[row], left[:, column] = -np.inf, -np.inf
    return tuple(made)


def _short(name: str) -> str:
    """The end of a path that tells images of the same name in several folders apart."""
    return "/".join(name.replace("\\", "/").split("/")[-_FOLDERS:])


def _draw_mark(draw: ImageDraw.ImageDraw, x: float, y: float, number: int) -> None:
    draw.ellipse([x - _MARK, y - _MARK, x + _MARK, y + _MARK], fill=INK.light, outline=PAPER.light, width=2)
    write_line(draw, x - 5, round(y) - 9, str(number), 15, PAPER.light)
