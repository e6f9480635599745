"""Images that were called unknown and kept: looked at in groups, enrolled, or thrown away."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from lookalike.data.thumbnail import thumbnail
from lookalike.gallery.enrolment import THUMBNAIL
from lookalike.gallery.gallery import Gallery
from lookalike.inference.references import GalleryError
from lookalike.serving.answers import DiscardUnknownOptions, EnrolUnknownOptions
from lookalike.serving.refusals import RefusalError


class Unknowns:
    """The kept images of a gallery in a folder. Clients name them as they are listed: no path comes from a request.

    Args:
        opened: Gives the gallery.
        folder: Of the images; None for the gallery's own.
    """

    def __init__(self, opened: Callable[[], Gallery], folder: Path | None = None) -> None:
        self._opened, self._folder, self._lock = opened, folder, Lock()
        self._grouped: tuple[object, dict[str, Any]] | None = None

    @property
    def _gallery(self) -> Gallery:
        return self._opened()

    def count(self) -> int:
        """How many there are that are not enrolled."""
        return len(self._files())

    def groups(self, least: int) -> dict[str, Any]:
        """Those that are not enrolled, in groups that probably show the same.

        Args:
            least: Images that make a group.
        """
        with self._lock:
            kept = self._files()
            state = (least, tuple(kept), self._gallery.version)
            if self._grouped is None or self._grouped[0] != state:
                self._grouped = state, self._suggested(kept, least)
            return self._grouped[1]

    def _suggested(self, kept: dict[str, Path], least: int) -> dict[str, Any]:
        if not kept:
            return {"total": 0, "groups": [], "alone": []}
        try:
            made = self._gallery.suggest(self._folder, least=least)
        except GalleryError:
            if (now := self._files()) == kept:
                raise
            return self._suggested(now, least)  # somebody else threw images away meanwhile
        groups = [
            {
                "suggestion": group.label,
                "nearest": group.nearest or None,
                "similarity": None if group.similarity != group.similarity else group.similarity,
                "images": [made.files[row].name for row in group.rows],
            }
            for group in made.groups
        ]
        alone = sorted(made.singles, key=lambda row: int(made.order[row]))
        return {"total": len(made), "groups": groups, "alone": [made.files[row].name for row in alone]}

    def picture(self, name: str) -> bytes:
        """A small JPEG of a kept image.

        Args:
            name: As listed.

        Raises:
            RefusalError: There is none of this name.
            ImageError: It cannot be used any more.
        """
        return thumbnail(self._named([name])[0], THUMBNAIL)

    def enrol(self, options: EnrolUnknownOptions) -> list[int]:
        """Enrols kept images under a label; returns their numbers.

        Args:
            options: Which, and the label.
        """
        return self._gallery.add(self._named(options.names), options.label, note=options.note)

    def discard(self, options: DiscardUnknownOptions) -> int:
        """Deletes kept images; returns how many.

        Args:
            options: Which.
        """
        files = self._named(options.names)
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _named(self, names: list[str]) -> list[Path]:
        kept = self._files()
        missing = [name for name in names if name not in kept]
        if missing:
            raise RefusalError(404, "no_image", f"{missing[0]}: no kept image of this name: see /v1/unknown")
        return [kept[name] for name in dict.fromkeys(names)]

    def _files(self) -> dict[str, Path]:
        if self._folder is None and not isinstance(self._gallery.path, Path):
            return {}
        return {path.name: path for path in self._gallery.unknown_files(self._folder)}
