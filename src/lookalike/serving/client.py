"""`Client`: the gallery of a service, asked and changed as `Gallery` is. It loads no network and needs no FastAPI."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.data.any_image import AnyImage
from lookalike.errors import LookalikeError
from lookalike.gallery.columns import Value
from lookalike.gallery.enrolment import (
    Facts,
    as_note,
    facts_for,
    labels_for,
    none_added,
    several,
    spread,
    whole_number,
)
from lookalike.inference.encoder import Box
from lookalike.serving.connection import Connection, ServiceError
from lookalike.serving.reading import Reading
from lookalike.serving.sent_images import SentImage, box_fields, boxes_for, fields_of


class Client(Reading):
    """The gallery of a service.

    It has the methods of `Gallery`, and their arguments where they can be sent. Threads may share it: each has
    connections and a `last_change` of its own. What is asked is asked again where the service is busy; a change is sent
    again only where nothing was done. In a `with` block its connections are closed at the end.

    Args:
        address: Such as `http://127.0.0.1:8000`.
        token: One for reading or for writing; None where the service asks for none. It is sent to no other address.
        timeout: Seconds that the service may be silent.

    Raises:
        ServiceError: No such address, token or time. Every method raises it, too: with the line of the service, or as
            it cannot be reached, is of another version, or is no service of lookalike.
    """

    def __init__(self, address: str, token: str | None = None, timeout: float = 30) -> None:
        super().__init__(Connection(address, token, timeout))
        self._of_thread = threading.local()

    def add(
        self,
        images: AnyImage | Iterable[AnyImage],
        labels: str | Iterable[str] | None = None,
        *,
        camera: int | Iterable[int | None] | None = None,
        columns: Mapping[str, Value | Sequence[Value]] | None = None,
        boxes: Sequence[Box | None] | None = None,
        note: str = "",
        keep_copies: bool = False,
        errors: dict[int, str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[int]:
        """Enrols images; one that is there already under the same label stays there once, as of `Gallery.add`.

        More images than the service takes at once are sent in several requests, each a change of its own, which is
        whole or not at all. The service keeps the name of each file as its source, and not where it lies here.

        Args:
            images: One or several: files, folders of images, bytes, uint8 arrays or pictures of Pillow.
            labels: One for all, or one each; None for the name of each file's folder.
            camera: The number of what took them; one for all, or one each.
            columns: What else is known of them, to filter by: name -> one value for all, or one each.
            boxes: Per image the part of it that is enrolled, x1, y1, x2, y2 in pixels of the upright image; None for
                the whole.
            note: Why, for the history.
            keep_copies: Enrol images once more that are there already, under whatever label: each of them votes.
            errors: When given, an unusable image is noted here (index -> reason), gets the number 0, and the rest are
                enrolled.
            progress: Called with the number of images done since the last call.

        Returns:
            The number of each image, which `remove` takes; that of an earlier call for one that was there.

        Raises:
            ServiceError: As the service says; it names the changes that earlier requests of the call made.
            GalleryError: Labels are missing or of another number than the images, images cannot be used, a camera is no
                whole number, or a column no plain value.
            ImageError: An image cannot be read here and `errors` is None.
        """
        given = spread(images)
        facts = facts_for(labels_for(given, labels), camera, columns)
        parts_of = boxes_for(boxes, len(given))
        fixed = fields_of(note=as_note(note), keep_copies=keep_copies, all_or_nothing=errors is None)
        unusable: dict[int, str] = {}
        numbers = [0] * len(given)
        changes: list[int] = []
        kept = None if errors is None else unusable
        self._of_thread.change = None

        def fields(batch: list[SentImage]) -> dict[str, str]:
            return fixed | box_fields(parts_of, batch) | _fields_for([facts[image.place] for image in batch])

        try:
            for batch, (part, change, broken) in self._sent(
                "/v1/gallery/add", given, _added, fields, kept, changes=True
            ):
                for image, number in zip(batch, part, strict=True):
                    numbers[image.place] = number
                unusable.update((batch[place].place, batch[place].told(text)) for place, text in broken.items())
                self._of_thread.change = change
                changes += [] if change is None else [change]
                progress(len(batch))
        except LookalikeError as error:
            if not changes:
                raise
            made = ", ".join(map(str, changes))
            text = f"{error}; images before were added as change {made}, which undo takes back"
            raise ServiceError(text, getattr(error, "status", None), error.code or "image") from error
        if len(unusable) == len(given):
            raise none_added([unusable[place] for place in sorted(unusable)], len(given))
        if errors is not None:
            errors.update(sorted(unusable.items()))
        return numbers

    def rename(self, label: str, to: str, *, note: str = "") -> int:
        """Gives a label another name; returns how many images have it now that had the old one.

        Args:
            label: As it is.
            to: As it shall be.
            note: Why, for the history.
        """
        return self._changed("rename", {"label": label, "to": to, "note": note})

    def merge(self, labels: str | Iterable[str], to: str, *, note: str = "") -> int:
        """Makes several labels one; returns how many images have it now that had another one.

        Args:
            labels: As they are.
            to: One of them, another label, or a new one.
            note: Why, for the history.
        """
        names = [labels] if isinstance(labels, str) else list(labels)
        return self._changed("merge", {"labels": names, "to": to, "note": note})

    def move(self, image: int | Iterable[int], to: str, *, note: str = "") -> int:
        """Gives single images another label, which may be new; returns how many had another one.

        Args:
            image: A number that `add` gave, or several: all of them or none.
            to: As they shall be called.
            note: Why, for the history.
        """
        return self._changed("move", {"image": _numbers(image), "to": to, "note": note})

    def confirm(self, image: int | Iterable[int], *, note: str = "") -> int:
        """Says that the labels of single images are right; returns of how many that was not said before.

        Args:
            image: A number that `add` gave, or several: all of them or none.
            note: Why, for the history.
        """
        return self._changed("confirm", {"image": _numbers(image), "note": note})

    def enrol_unknown(self, names: str | Iterable[str], label: str, *, note: str = "") -> int:
        """Enrols kept unknown images; returns how many.

        Args:
            names: As `unknown_files` and `suggest` name them.
            label: That they get.
            note: Why, for the history.
        """
        return self._changed("enrol", {"names": _names(names), "label": label, "note": note}, "unknown")

    def discard_unknown(self, names: str | Iterable[str]) -> int:
        """Deletes kept unknown images, which nothing brings back; returns how many.

        Args:
            names: As `unknown_files` and `suggest` name them.
        """
        return self._changed("discard", {"names": _names(names)}, "unknown")

    def remove(
        self,
        *,
        label: str | Iterable[str] | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Removes images; `undo` brings them back. Returns how many were removed.

        Args:
            label: All images of it, or of several.
            image: A number that `add` gave, or several: all of them or none.
            source: What the gallery has as the place that an image came from.
            note: Why, for the history.
        """
        return self._changed("remove", _chosen(label, image, source, note))

    def forget(
        self,
        *,
        label: str | Iterable[str] | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Deletes images for good, removed ones too, as `Gallery.forget` does; returns how many were deleted.

        Args:
            label: All images of it, or of several, also those that had it when they were removed.
            image: A number that `add` gave, or several.
            source: What the gallery has as the place that an image came from.
            note: Why, for the history; say no name in it.
        """
        return self._changed("forget", _chosen(label, image, source, note))

    def undo(self, change: int, *, note: str = "") -> int:
        """Takes a change back, as a change of its own; returns how many images it touched.

        Args:
            change: Its number, as `log` tells it.
            note: Why, for the history.
        """
        return self._changed("undo", {"change": whole_number("change", change), "note": note})

    @property
    def last_change(self) -> int | None:
        """The number of what this thread changed last, for `undo`; None where nothing was changed by it."""
        number: int | None = getattr(self._of_thread, "change", None)
        return number

    def close(self) -> None:
        """Ends its connections; the next question makes new ones."""
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.address!r})"

    def _changed(self, verb: str, values: Mapping[str, object], what: str = "gallery") -> int:
        self._of_thread.change = None
        given = {name: value for name, value in values.items() if value is not None}
        images, change = self._connection.post(f"/v1/{what}/{verb}", _change, given, changes=True)
        self._of_thread.change = change
        return images


def _chosen(
    label: str | Iterable[str] | None, image: int | Iterable[int] | None, source: str | Path | None, note: str
) -> dict[str, object]:
    numbers = None if image is None else _numbers(image)
    labels = label if label is None or isinstance(label, str) else list(label)
    return {"label": labels, "image": numbers, "source": None if source is None else str(source), "note": note}


def _names(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _numbers(image: int | Iterable[int]) -> list[int]:
    return [whole_number("image", number) for number in several(image)]


def _fields_for(facts: Sequence[Facts]) -> dict[str, str]:
    """Label, camera and columns of each image, as fields of a form."""
    rows = [{name: json.loads(text) for name, text in fact.columns} for fact in facts]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    cameras = [fact.camera for fact in facts]
    return fields_of(
        labels=[fact.label for fact in facts],
        cameras=cameras if any(camera is not None for camera in cameras) else None,
        columns=columns or None,
    )


def _added(values: dict[str, Any], count: int) -> tuple[list[int], int | None, dict[int, str]]:
    """The number of each image, that of the change, and why images could not be used."""
    numbers = [int(number) for number in values["numbers"]]
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers for {count} images")
    return numbers, _change(values)[1], {int(item["place"]): str(item["error"]) for item in values["errors"]}


def _change(values: dict[str, Any]) -> tuple[int, int | None]:
    change = values["change"]
    return int(values["images"]), None if change is None else int(change)
