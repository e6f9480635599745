"""Images that were called unknown and kept: looked at in groups, enrolled, or thrown away."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from threading import Event, Lock
from time import time_ns
from typing import Any
from weakref import ref

import numpy as np

from lookalike.console import say
from lookalike.data.image_files import is_image_name
from lookalike.data.thumbnail import thumbnail
from lookalike.gallery.enrolment import THUMBNAIL
from lookalike.gallery.gallery import Gallery
from lookalike.gallery.suggest import MOST, need_suggestible, suggest
from lookalike.gallery.unknown import Room, keep_unknown
from lookalike.inference.predict import Predictions
from lookalike.serving.kept_figures import USUAL, Held, KeepLimits, KeptFigures
from lookalike.serving.options import DiscardUnknownOptions, EnrolUnknownOptions
from lookalike.serving.refusals import RefusalError
from lookalike.serving.work import BusyError

_AT_ONCE = 64  # images that are embedded before it is asked whether the service ends
_SECOND = 1_000_000_000  # nanoseconds
_Key = tuple[int, str, int, str]


class Unknowns:
    """The kept images of a gallery in a folder. Clients name them as they are listed: no path comes from a request.

    Args:
        opened: Gives the gallery.
        folder: Of the images; None for the gallery's own.
        limits: Beyond them no more are kept.
    """

    def __init__(self, opened: Callable[[], Gallery], folder: Path | None = None, limits: KeepLimits = USUAL) -> None:
        self._limits, self._keeping, self._not_kept = limits, Lock(), 0
        self._opened, self._folder, self._lock, self._ended = opened, folder, Lock(), Event()
        self._grouped: tuple[object, dict[str, Any]] | None = None
        self._listed: _Listed | None = None
        self._embedded: dict[_Key, np.ndarray | None] = {}  # None for an image that cannot be used

    def count(self) -> int:
        """How many there are that are not enrolled."""
        return len(self._files(self._opened()))

    def held(self, gallery: Gallery) -> Held:
        """How much those take that are not enrolled.

        Args:
            gallery: Which they are not enrolled in.
        """
        sizes = [_size(file) for file in self._files(gallery).values()]
        return Held(len(sizes), sum(sizes))

    def figures(self, gallery: Gallery) -> KeptFigures:
        """As `held`, with what there may be.

        Args:
            gallery: As of `held`.
        """
        held = self.held(gallery)
        return KeptFigures(held.images, held.bytes, self._limits.images, self._limits.bytes, self._not_kept)

    def keep(self, gallery: Gallery, predictions: Predictions) -> tuple[list[Path], int]:
        """Keeps images that were called unknown while there is room; returns files, and how many were not kept.

        What is kept is never thrown away for what comes later: a person may want it.

        Args:
            gallery: That called them unknown.
            predictions: Of it.
        """
        if not any(item.unknown for item in predictions):
            return [], 0
        with self._keeping:
            held = self.held(gallery)
            room = Room(self._limits.images - held.images, self._limits.bytes - held.bytes)
            try:
                kept = keep_unknown(predictions, gallery.unknown_folder(self._folder), room)
            finally:
                self._not_kept += room.not_kept
        if room.not_kept:
            say(
                f"{room.not_kept} unknown images were not kept: {held.images} of {held.bytes / 1e6:.0f} MB are, at "
                f"most {self._limits.images} of {self._limits.bytes / 1e6:.0f} MB may be: enrol or discard some, or "
                "start the service with a larger unknown_images= or unknown_megabytes="
            )
        return kept, room.not_kept

    def listing(self) -> dict[str, Any]:
        """Those that are not enrolled, by name."""
        files = sorted(self._files(self._opened()).items())
        return {"total": len(files), "items": [{"name": name, "bytes": _size(file)} for name, file in files]}

    def stop(self) -> None:
        """Ends the embedding of images that `groups` waits for: the service ends."""
        self._ended.set()

    def groups(self, least: int) -> dict[str, Any]:
        """Those that are not enrolled, in groups that probably show the same; who asks meanwhile waits.

        Of many, the newest are put into groups; the others, and what cannot be used, are alone.

        Args:
            least: Images that make a group.

        Raises:
            BusyError: The service ends.
        """
        with self._lock:
            gallery = self._opened()
            kept = self._files(gallery)
            state = (least, tuple(kept.items()), gallery.version, gallery.encoder.fingerprint)
            if self._grouped is None or self._grouped[0] != state:
                self._grouped = state, self._suggested(gallery, list(kept.values()), least)
            return self._grouped[1]

    def _suggested(self, gallery: Gallery, kept: list[Path], least: int) -> dict[str, Any]:
        if not kept:
            return {"total": 0, "groups": [], "alone": []}
        need_suggestible(min(len(kept), MOST), least)  # before they are embedded
        embedded = self._embeddings(gallery, kept)
        files = [file for file in kept if file in embedded]
        others = [file.name for file in kept if file not in embedded]
        if not files:
            return {"total": len(kept), "groups": [], "alone": others}
        references = gallery.references if len(gallery) else None
        made = suggest(files, np.stack(list(map(embedded.__getitem__, files))), references=references, least=least)
        groups = [
            {
                "suggestion": group.label,
                "nearest": group.nearest or None,
                "similarity": None if group.similarity != group.similarity else group.similarity,
                "names": [made.files[row].name for row in group.rows],
            }
            for group in made.groups
        ]
        alone = sorted(made.singles, key=lambda row: int(made.order[row]))
        return {"total": len(kept), "groups": groups, "alone": [made.files[row].name for row in alone] + others}

    def _embeddings(self, gallery: Gallery, kept: list[Path]) -> dict[Path, np.ndarray]:
        """Of the newest images that can be used; what was embedded before is not embedded again."""
        encoder = gallery.encoder
        newest = sorted(((key, file) for file in kept if (key := _key(file, encoder.fingerprint))), reverse=True)[:MOST]
        keys = dict(newest)
        self._embedded = {key: row for key, row in self._embedded.items() if key in keys}
        missing = [key for key in keys if key not in self._embedded]
        for first in range(0, len(missing), _AT_ONCE):
            if self._ended.is_set():
                raise BusyError("the service ends: send it again when it was started anew")
            part = missing[first : first + _AT_ONCE]
            errors: dict[int, str] = {}
            rows = encoder.embed([keys[key] for key in part], errors=errors)
            for place, key in enumerate(part):
                self._embedded[key] = None if place in errors else np.array(rows[place])
            for text in errors.values():
                say(text)
        return {file: row for key, file in keys.items() if (row := self._embedded[key]) is not None}

    def picture(self, name: str) -> bytes:
        """A small JPEG of a kept image.

        Args:
            name: As listed.

        Raises:
            RefusalError: There is none of this name.
            ImageError: It cannot be used any more.
        """
        return thumbnail(self._named(self._opened(), [name])[0], THUMBNAIL)

    def enrol(self, gallery: Gallery, options: EnrolUnknownOptions) -> list[int]:
        """Enrols kept images under a label; returns their numbers.

        Args:
            gallery: Which they are enrolled in.
            options: Which, and the label.
        """
        return gallery.add(self._named(gallery, options.names), options.label, note=options.note)

    def discard(self, options: DiscardUnknownOptions) -> int:
        """Deletes kept images; returns how many.

        Args:
            options: Which.
        """
        files = self._named(self._opened(), options.names)
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _named(self, gallery: Gallery, names: list[str]) -> list[Path]:
        """The files of these names: a look at each of them and one at the gallery, however many lie beside them."""
        files = {name: file for name in names if (file := self._beside(gallery, name)) is not None}
        files = {file.name: file for file in gallery.not_enrolled(files.values())} if files else {}
        if len(files) < len(set(names)):
            files = self._files(gallery) | files  # those in sub-folders
        missing = [name for name in names if name not in files]
        if missing:
            raise RefusalError(404, "no_image", f"{missing[0]}: no kept image of this name: see /v1/unknown")
        return [files[name] for name in dict.fromkeys(names)]

    def _beside(self, gallery: Gallery, name: str) -> Path | None:
        """The image of this name in the folder itself."""
        if (place := self._place(gallery)) is None or not is_image_name(name) or any(sign in name for sign in "/\\\0"):
            return None
        try:
            file = place / name
            return file if S_ISREG(file.lstat().st_mode) else None
        except (OSError, ValueError):  # ValueError: half a letter of Unicode
            return None

    def _place(self, gallery: Gallery) -> Path | None:
        return (
            None
            if self._folder is None and not isinstance(gallery.path, Path)
            else gallery.unknown_folder(self._folder)
        )

    def _files(self, gallery: Gallery) -> dict[str, Path]:
        """Name -> file, looked for again when a folder or the gallery changed."""
        if (place := self._place(gallery)) is None:
            return {}
        listed, version = self._listed, gallery.version
        if listed is not None and (listed.gallery(), listed.version) == (gallery, version) and listed.same():
            return listed.files
        folders, now = (
            _times([place, *(Path(at, name) for at, names, _ in os.walk(place) for name in names)]),
            time_ns(),
        )
        files = {path.name: path for path in gallery.unknown_files(self._folder)}
        settled = all(_settled(time, now) for time in folders.values())
        self._listed = _Listed(ref(gallery), version, folders, files) if settled else None
        return files


@dataclass(frozen=True)
class _Listed:
    """What lay in a folder.

    Attributes:
        gallery: That was asked what is enrolled.
        version: Of it.
        folders: Each folder with its time: it changes with what lies in it.
        files: Name -> file.
    """

    gallery: "ref[Gallery]"
    version: int
    folders: dict[Path, int | None]
    files: dict[str, Path]

    def same(self) -> bool:
        """Whether the folders are as they were."""
        return _times(self.folders) == self.folders


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # deleted meanwhile
        return 0


def _times(folders: Iterable[Path]) -> dict[Path, int | None]:
    times: dict[Path, int | None] = {}
    for folder in folders:
        try:
            times[folder] = folder.stat().st_mtime_ns
        except OSError:
            times[folder] = None
    return times


def _settled(time: int | None, now: int) -> bool:
    """Whether a folder of this time, if it changes again, has a later one: some file systems count whole seconds."""
    return time is not None and time < now - (_SECOND // 20 if time % _SECOND else 2 * _SECOND)


def _key(file: Path, fingerprint: str) -> _Key | None:
    """What an embedding is kept by, later for newer files; None where the file is gone."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, str(file), status.st_size, fingerprint
