"""What changes enrolled images: renamed, merged, moved, removed, forgotten, taken back; and the log of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lookalike.console import say
from lookalike.data.image_files import UNKNOWN_FOLDER
from lookalike.errors import did_you_mean
from lookalike.gallery.enrolment import as_label, as_new_label, as_note, several, whole_number
from lookalike.gallery.history import Change, Column
from lookalike.gallery.past import PastGallery
from lookalike.gallery.rows import MissingError
from lookalike.gallery.searchable import Searchable
from lookalike.gallery.sources import sources_of
from lookalike.inference.references import GalleryError
from lookalike.terminal import counted


class Editable(Searchable):
    """Enrolled images that can be changed, and a way back."""

    def rename(self, label: str, to: str, *, note: str = "") -> int:
        """Gives a label another name.

        Args:
            label: As it is.
            to: As it shall be.
            note: Why, for the history.

        Returns:
            How many images have the new name now that had the old one.

        Raises:
            GalleryError: There is no such label, the new one is there already (see `merge`) or is empty.
        """
        label, to = as_label(label), as_new_label(to)
        renamed, taken = self._store.rename(label, to, as_note(note))
        if taken:
            raise GalleryError(
                f"{self.path}: rename: expected a label that is not there, found {to!r} with {taken} images: "
                "gallery merge makes them one (Gallery.merge in Python), which undo takes back"
            ).naming("label_taken", label=to, images=taken)
        return renamed or self._refuse_label(label)

    def merge(self, labels: str | Iterable[str], to: str, *, note: str = "") -> int:
        """Makes several labels one.

        Args:
            labels: As they are.
            to: One of them, another label, or a new one.
            note: Why, for the history.

        Returns:
            How many images have the label now that had another one; told, too.

        Raises:
            GalleryError: There is no label, or no such one, or the new one is empty.
        """
        names = [as_label(name) for name in ([labels] if isinstance(labels, str) else labels)]
        if not names:
            raise GalleryError("merge: expected one label or several, got none: give those that shall be one")
        moved, missing = self._store.merge(list(dict.fromkeys(names)), as_new_label(to), as_note(note))
        if missing:
            return self._refuse_label(missing[0])
        have = f"{counted(moved, 'image')} {'has' if moved == 1 else 'have'}"
        say(f"{self.path}: {have} the label {as_label(to)!r} now that had another")
        return moved

    def move(self, image: int | Iterable[int], to: str, *, note: str = "") -> int:
        """Gives single images another label, which may be new.

        Args:
            image: A number that `add` gave, or several: all of them or none.
            to: As they shall be called.
            note: Why, for the history.

        Returns:
            How many had another label.

        Raises:
            GalleryError: An image is not there, or the label is empty.
        """
        _, numbers = self._chosen("move", None, image, None)
        moved, missing = self._store.move(numbers, as_new_label(to), as_note(note))
        if missing:
            raise _not_there("move", missing, self.path)
        return moved

    def confirm(self, image: int | Iterable[int], *, note: str = "") -> int:
        """Says that the labels of single images are right, so that `health` doubts them no more.

        It is kept as the column `confirmed` of the image, true, and taken away with the next other label that it gets.

        Args:
            image: A number that `add` gave, or several: all of them or none.
            note: Why, for the history.

        Returns:
            Of how many that was not said before.

        Raises:
            GalleryError: An image is not there.
        """
        _, numbers = self._chosen("confirm", None, image, None)
        confirmed, missing = self._store.confirm([int(number) for number in numbers], as_note(note))
        if missing:
            raise _not_there("confirm", missing, self.path)
        return confirmed

    def remove(
        self,
        *,
        label: str | Iterable[str] | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Removes the images of a label, images by their numbers, or those of one source; `undo` brings them back.

        Args:
            label: All images of it, or of several: all of them or none.
            image: A number that `add` gave, or several: all of them or none.
            source: The path that an image was enrolled from, or its name where it had none.
            note: Why, for the history.

        Returns:
            How many were removed.

        Raises:
            GalleryError: None or several of the three are given, or nothing matches.
        """
        column, values = self._chosen("remove", label, image, source)
        removed, missing = self._store.remove(column, values, as_note(note))
        return removed or self._refuse("remove", column, missing, source)

    def forget(
        self,
        *,
        label: str | Iterable[str] | None = None,
        image: int | Iterable[int] | None = None,
        source: str | Path | None = None,
        note: str = "",
    ) -> int:
        """Deletes images for good, removed ones too: nothing of them remains in any file of it, nor a way back.

        Copies that `keep_unknown` made in the gallery's own folder, and that were enrolled from there, go too.

        What the history says of them goes, too, and the notes of all changes that touched them.

        Args:
            label: All images of it, or of several, also those that had it when they were removed.
            image: A number that `add` gave, or several.
            source: The path that an image was enrolled from, or its name where it had none.
            note: Why, for the history; say no name in it.

        Returns:
            How many were deleted.

        Raises:
            GalleryError: None or several of the three are given, or nothing matches.
            StoreError: Another process reads the gallery, so that the bytes stay in its log until the next call.
        """
        column, values = self._chosen("forget", label, image, source)
        self._store.delete_leftover(self._own_files)  # of a killed process
        erased = self._store.erase()  # of an earlier call that found the gallery in use
        try:
            whole = column != "source" and not erased
            forgotten = self._store.forget(column, values, as_note(note), self._own_files, all_there=whole)
        except MissingError as error:
            return self._refuse("forget", column, error.values, source)
        if erased and not forgotten:
            say(f"{self.path}: what was forgotten earlier is in no file any more")
            return 0
        return forgotten or self._refuse("forget", column, values, source)

    def _own_files(self, sources: Sequence[str]) -> list[str]:
        """Those that are copies which `keep_unknown` made in the gallery's own folder."""
        if not isinstance(self.path, Path):
            return []
        own = (self.path / UNKNOWN_FOLDER).resolve()
        return [source for source in sources if own in Path(source).parents and ".." not in Path(source).parts]

    def undo(self, change: int, *, note: str = "") -> int:
        """Takes a change back, as a change of its own, which can be undone as well.

        Args:
            change: Its number, as `log` tells it.
            note: Why, for the history.

        Returns:
            How many images it touched.

        Raises:
            HistoryError: There is no such change, its images were changed again since (undo that first), or nothing
                is known of what it did.
        """
        return self._store.undo(whole_number("change", change), as_note(note))

    @property
    def last_change(self) -> int | None:
        """The number of what this thread changed last, for `undo`; None where nothing was changed by it."""
        return self._store.change_of_thread

    def log(self, most: int | None = None, *, before: int | None = None) -> list[Change]:
        """The changes, the latest first.

        Args:
            most: How many at most, from 0; None for all.
            before: Only changes with a smaller number; None for the latest.

        Raises:
            GalleryError: No such number.
        """
        if most is not None and whole_number("most", most) < 0:
            raise GalleryError(f"most={most}: expected how many changes, from 0, or None for all")
        return self._store.changes(most, None if before is None else whole_number("before", before))

    def at(self, change: int) -> PastGallery:
        """The gallery as it was after a change: searched and asked, never changed.

        Args:
            change: Its number; 0 for before the first.

        Raises:
            HistoryError: There is no such change, or an earlier version made it.
        """
        return PastGallery(self.path, self._model, self._store, self._options, whole_number("change", change))

    def _chosen(
        self, verb: str, label: str | Iterable[str] | None, image: int | Iterable[int] | None, source: str | Path | None
    ) -> tuple[Column, list[str | int]]:
        """Which images are meant, by exactly one of the three."""
        if sum(value is not None for value in (label, image, source)) != 1:
            raise GalleryError(f"{verb}: expected one of label=, image= and source=: give exactly one")
        if label is not None:
            labels = [as_label(name) for name in ([label] if isinstance(label, str) else label)]
            if not labels:
                raise GalleryError(f"{verb}: label=[]: expected a label or several: give those that are meant")
            return "label", list(dict.fromkeys(labels))
        if source is not None:
            return "source", list(sources_of(source))
        assert image is not None
        numbers = sorted({whole_number("image", number) for number in several(image)})
        if not numbers:
            raise _not_there(verb, [], self.path)
        return "id", list(numbers)

    def _refuse(self, verb: str, column: Column, values: list[str | int], source: str | Path | None) -> int:
        if column == "label":
            return self._refuse_label(str(values[0]))
        if column == "id":
            raise _not_there(verb, values, self.path)
        raise GalleryError(f"{verb}: source={source} is not in {self.path}: give the path it was enrolled from")

    def _refuse_label(self, label: str) -> int:
        labels = list(self.labels)
        parts = [part.strip() for part in label.split(",")]
        several_meant = len(parts) > 1 and set(parts) <= set(labels)
        hint = f": several are given in brackets, [{','.join(parts)}]" if several_meant else did_you_mean(label, labels)
        raise GalleryError(f"{self.path}: has no label {label!r}{hint}").naming("no_label", label=label)


def _not_there(verb: str, numbers: Iterable[object], path: Path | str) -> GalleryError:
    shown = ", ".join(map(str, list(numbers)[:5])) or "nothing"
    return GalleryError(
        f"{verb}: image={shown} is not in {path}: gallery list label=<label> shows the numbers of its images"
    ).naming("no_image", image=shown)
