"""What a client reads of a service: the gallery, its changes, what should be looked at, kept unknown images."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.gallery.health import Doubt, Health
from lookalike.gallery.history import Change, Move
from lookalike.gallery.rows import EnrolledImage
from lookalike.inference.search_facts import IndexFacts
from lookalike.serving.asking import PAGE, Asking
from lookalike.serving.kept_figures import KeptFigures


@dataclass(frozen=True)
class Day:
    """One day of a service.

    Attributes:
        day: Such as 2026-05-04.
        images: That were asked for with a limit.
        unknown: Of which were called unknown.
    """

    day: str
    images: int
    unknown: int


@dataclass(frozen=True)
class ServiceHealth(Health):
    """What should be looked at in a gallery, and what its service was asked.

    Attributes:
        days: The oldest first.
        kept: Unknown images, and how many there may be.
    """

    days: tuple[Day, ...] = ()
    kept: KeptFigures | None = None


@dataclass(frozen=True)
class KeptGroup:
    """Kept unknown images that probably show one new thing.

    Attributes:
        label: Proposed, such as `new 1`.
        names: Of the images, the most central first.
        nearest: The known label that they are most similar to; None in an empty gallery.
        similarity: Cosine of that.
    """

    label: str
    names: tuple[str, ...]
    nearest: str | None
    similarity: float | None


@dataclass(frozen=True)
class KeptGroups:
    """Kept unknown images that are not enrolled, in groups.

    Attributes:
        groups: The largest first.
        alone: Names of images of no group; the one to be labelled first stands first.
    """

    groups: tuple[KeptGroup, ...]
    alone: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.alone) + sum(len(group.names) for group in self.groups)


class Reading(Asking):
    """What `Client` reads; made as `Asking`."""

    @property
    def name(self) -> str:
        """Of the gallery."""
        return str(self._connection.about()["name"])

    @property
    def version(self) -> int:
        """The number of the last change, by whomever."""
        return int(self._connection.ask_about()["gallery_version"])

    @property
    def labels(self) -> dict[str, int]:
        """Label -> how many images it has, sorted."""
        return self._connection.get(
            "/v1/labels", lambda values: {str(item["label"]): int(item["images"]) for item in values["labels"]}
        )

    def images(self, label: str, *, first: int = 0, most: int | None = None) -> list[EnrolledImage]:
        """The images of a label, in the order they were enrolled.

        Args:
            label: As it is.
            first: How many are passed over.
            most: How many at most; None for all.
        """
        enrolled: list[EnrolledImage] = []
        while most is None or len(enrolled) < most:
            at_once = PAGE if most is None else min(PAGE, most - len(enrolled))
            total, page = self._connection.get(
                "/v1/gallery/images", _page_of_images, label=label, first=first + len(enrolled), most=at_once
            )
            enrolled += page
            if not page or first + len(enrolled) >= total:
                break
        return enrolled

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of an image, of a removed one too; empty where there is none.

        Args:
            number: Of the image.
        """
        return self._connection.picture(f"/v1/images/{quote(str(number), safe='')}/thumbnail")

    def log(self, most: int | None = None, *, before: int | None = None) -> list[Change]:
        """The changes, the latest first.

        Args:
            most: How many at most; None for all.
            before: Only changes with a smaller number; None for the latest.
        """
        changes: list[Change] = []
        while True:
            asked = PAGE if most is None else min(PAGE, most - len(changes))
            end = {} if before is None else {"before": before}
            page = self._connection.get("/v1/gallery/log", _changes, most=asked, **end)
            changes += page
            if len(page) < asked or len(changes) == most:
                return changes
            before = page[-1].number

    def health(self) -> ServiceHealth:
        """What should be looked at: labels with few images, images that their neighbours call otherwise; and days."""
        return self._connection.get("/v1/gallery/health", _health)

    @property
    def index(self) -> IndexFacts | None:
        """What is known of the approximate index; None where none was asked for, or it is not built yet."""
        facts = self._connection.ask_about()["index"]
        return None if facts is None else _index(facts)

    def unknown_files(self) -> list[str]:
        """The names of kept unknown images that are not enrolled, sorted."""
        return self._connection.get("/v1/unknown", lambda values: [str(item["name"]) for item in values["items"]])

    def suggest(self, *, least: int = 2) -> KeptGroups:
        """Groups kept unknown images that probably show the same new thing, and says which to label next.

        Args:
            least: Observations that make a group, at least 1.
        """
        return self._connection.get("/v1/unknown/groups", _groups, least=least)

    def unknown_thumbnail(self, name: str) -> bytes:
        """The small JPEG of a kept unknown image; empty where there is none.

        Args:
            name: As `unknown_files` names it.
        """
        return self._connection.picture(f"/v1/unknown/{quote(name, safe='')}/thumbnail")

    def __bool__(self) -> bool:
        return True  # without asking the service how many images there are


def _page_of_images(values: dict[str, Any]) -> tuple[int, list[EnrolledImage]]:
    names = ("number", "label", "source", "camera", "time", "columns")
    return int(values["total"]), [EnrolledImage(*(item[name] for name in names)) for item in values["items"]]


def _changes(values: dict[str, Any]) -> list[Change]:
    return [
        Change(row["number"], row["time"], row["action"], row["note"], _moves(row["moves"]), *_counts(row))
        for row in values["changes"]
    ]


def _counts(row: dict[str, Any]) -> tuple[int | None, int]:
    return row["forgotten"], row["described"]


def _moves(values: list[dict[str, Any]]) -> tuple[Move, ...]:
    return tuple(Move(item["before"], item["after"], item["images"]) for item in values)


def _health(values: dict[str, Any]) -> ServiceHealth:
    doubts = [Doubt(item["number"], item["label"], item["suggestion"], item["similarity"]) for item in values["doubts"]]
    few = {item["label"]: item["images"] for item in values["few"]}
    days = [Day(item["day"], item["images"], item["unknown"]) for item in values["days"]]
    return ServiceHealth(
        values["images"], values["asked"], few, tuple(doubts), tuple(days), KeptFigures(**values["kept"])
    )


def _index(facts: dict[str, Any]) -> IndexFacts:
    """As `IndexFacts.to_dict` gives it."""
    return IndexFacts(facts["images"], facts["cells"], facts["probes"], facts["recall_at_10"], facts["seconds"])


def _groups(values: dict[str, Any]) -> KeptGroups:
    groups = (
        KeptGroup(group["suggestion"], tuple(group["names"]), group["nearest"], group["similarity"])
        for group in values["groups"]
    )
    return KeptGroups(tuple(groups), tuple(values["alone"]))
