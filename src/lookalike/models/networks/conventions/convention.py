"""What is known of the way in which a project reads images and tests its networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALVES = (0.5, 0.5, 0.5)
UNCHANGED = {"project", "version", "sources", "remarks"}  # fields that are no facts of their own


@dataclass(frozen=True)
class Convention:
    """One project's way, for one kind of its networks.

    Attributes:
        project: Its name, and the kind where the project has several ways.
        version: Of which everything was read: a release, or a commit.
        height: Of the images, in pixels.
        width: Same.
        resize: As in `PixelSettings`.
        shorter_side: Same; None is no fact.
        interpolation: As in `PixelSettings`.
        antialias: Same.
        mean: Per channel, in 0..1.
        std: Same.
        channels: Their order.
        flip: As in `models.networks.inference_rules`.
        scales: Same.
        parts: Same.
        taken: Which vector is tested, in words.
        unit_length: Whether it is given unit length before it is compared.
        distance: By which vectors are compared.
        sources: Name of a field -> the file of the project, and what stands in it, that says so.
        remarks: What else a person should know.
    """

    project: str
    version: str
    sources: Mapping[str, str]
    height: int = 256
    width: int = 128
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    shorter_side: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    channels: Literal["RGB", "BGR"] = "RGB"
    flip: Literal["none", "sum", "mean", "unit sum"] = "none"
    scales: tuple[float, ...] = (1.0,)
    parts: int = 1
    taken: str = ""
    unit_length: bool = True
    distance: Literal["cosine", "euclidean"] = "euclidean"
    remarks: tuple[str, ...] = field(default=())

    def facts(self) -> dict[str, tuple[object, str]]:
        """Name of each fact -> its value (lists instead of tuples), and where it stands."""
        names = [part.name for part in fields(self) if part.name not in UNCHANGED]
        names = [name for name in names if getattr(self, name) is not None]
        values = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {name: (value, self.sources[name]) for name, value in plain.items()}


def stands_in(**places: str) -> dict[str, str]:
    """Sources by field; a key of several fields joins them with two underscores (`height__width`)."""
    return {name: place for names, place in places.items() for name in names.split("__")}
