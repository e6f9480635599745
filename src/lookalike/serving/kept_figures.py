"""How much kept unknown images take, and may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KeepLimits:
    """What kept unknown images may take: those that are enrolled are not counted.

    Attributes:
        images: How many.
        bytes: Of them.
    """

    images: int = 10_000
    bytes: int = 5_000_000_000


USUAL = KeepLimits()


@dataclass(frozen=True)
class Held:
    """What kept unknown images take.

    Attributes:
        images: That are not enrolled.
        bytes: Of these.
    """

    images: int
    bytes: int


@dataclass(frozen=True)
class KeptFigures(Held):
    """What kept unknown images take, and may take.

    Attributes:
        most_images: That are kept.
        most_bytes: Of these.
        not_kept: Since the service began, as there was no room.
    """

    most_images: int
    most_bytes: int
    not_kept: int
