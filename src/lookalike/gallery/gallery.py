"""`Gallery`: images that are enrolled, renamed, moved, removed and searched without training, and a way back."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.console import say
from lookalike.data.image_files import UNKNOWN_FOLDER, PassedOver, find_images
from lookalike.gallery.enrolled import HasEncoder
from lookalike.gallery.enrolling import Enrolling
from lookalike.gallery.enrolment import as_note
from lookalike.gallery.own_model import KEPT, about_model, discard_networks, keep_model, keeping_model
from lookalike.gallery.reembedding import Reembedding, reembed
from lookalike.gallery.snapshot import Snapshot
from lookalike.gallery.sources import source_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.stores import create_store, discard_store, open_store, shown_place
from lookalike.gallery.transfer import export_to, import_from
from lookalike.gallery.verification import Verification, verify
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Prediction
from lookalike.inference.references import GalleryError, References
from lookalike.settings.paths import path_of
from lookalike.settings.types import split_of

if TYPE_CHECKING:
    from lookalike.evaluation.assessment import Assessment
    from lookalike.gallery.suggestions import Suggestions


class Gallery(Enrolling):
    """Known images in a folder of their own: a class is added by enrolling images of it.

    Made by `Gallery.create` or `Gallery.open`. The original files are not needed afterwards. Every change is written
    whole or not at all; several processes may read while one writes. In a `with` block it is closed at the end.

    Args:
        path: The folder; of a shared gallery its address without the password.
        model: Embeds; the gallery belongs to its fingerprint.
        store: Its rows.

    Raises:
        GalleryError: The gallery was made by another model.
    """

    def __init__(
        self, path: Path | str, model: HasEncoder | None, store: SqlStore, options: Mapping[str, Any] | None = None
    ) -> None:
        self._of_thread = local()
        try:
            super().__init__(path, model, store, options)
        except BaseException:
            store.close()
            raise
        self._rows = Snapshot(store)

    @classmethod
    def create(cls, path: str | Path, model: HasEncoder) -> "Gallery":
        """Makes an empty gallery.

        Args:
            path: A new folder, or one without a gallery; or `postgresql://user:password@host/database?gallery=name`,
                for one that any number of computers share.
            model: What embeds its images.

        Raises:
            StoreError: A gallery is there already.
        """
        about = _about(model)
        place = shown_place(path, "Gallery.create")
        store = create_store(path, about)
        try:
            if isinstance(place, Path):
                keep_model(model, place)
        except BaseException:
            store.close()
            discard_store(path)  # it is empty, and the same command can be given again
            raise
        return cls(place, model, store)

    @classmethod
    def open(
        cls, path: str | Path, model: HasEncoder | None = None, options: Mapping[str, Any] | None = None
    ) -> "Gallery":
        """Opens a gallery.

        Args:
            path: Its folder or its address.
            model: The one that made it; None to load that when it is needed, by what the gallery says of it.
            options: Device, precision and workers of its own model, see `Model.load`.

        Raises:
            StoreError: There is none, or it cannot be read.
            GalleryError: Another model made it.
        """
        if model is not None:
            _encoder_of(model)
        return cls(shown_place(path, "Gallery.open"), model, open_store(path), options)

    def export(self, folder: str | Path) -> int:
        """Writes all images into a folder of open formats: `rows.parquet`, small JPEGs, and what made them.

        Args:
            folder: New, or of an earlier export, which is kept under a dated name.

        Returns:
            How many images.

        Raises:
            GalleryError: Something else stands there.
        """
        return export_to(self._store, path_of(folder, "Gallery.export"))

    def import_from(self, folder: str | Path, *, note: str = "", keep_copies: bool = False) -> list[int]:
        """Enrols what `export` or `lookalike embed` wrote, all of it or nothing.

        Args:
            folder: Of it.
            note: Why, for the history.
            keep_copies: As of `add`.

        Returns:
            The number that each image has here.

        Raises:
            GalleryError: Nothing such is there, it is damaged, or was made by another model; and as `add`.
        """
        held = import_from(path_of(folder, "Gallery.import_from"), self._store.about["fingerprint"])
        return self.add_embeddings(
            held.embeddings,
            held.labels,
            sources=held.sources,
            thumbnails=held.thumbnails,
            camera=held.cameras,
            columns=held.columns,
            note=note,
            keep_copies=keep_copies,
        )

    def evaluate(
        self,
        data: Mapping[str, Any] | str | Path,
        split: str | None = None,
        *,
        camera_rule: bool = True,
    ) -> "Assessment":
        """How well photographs are named by the gallery as it is; one that is enrolled itself never finds itself.

        Args:
            data: Where they lie, or the settings of a data set: class folders, a table, or any folder whose folders are
                labels; a label that is not enrolled is an unknown one.
            split: Only the images of this split; None for all.
            camera_rule: Leave out enrolled images of the query's own label and camera, where cameras are known.

        Raises:
            GalleryError: The gallery is empty.
            ManifestError: No image there, or none of the split.
            ImageError: An image cannot be used.
        """
        from lookalike.evaluation.identify import Rules
        from lookalike.gallery.measuring import measure
        from lookalike.settings.check import check
        from lookalike.settings.compose import compose
        from lookalike.settings.data import Data

        given = dict(data) if isinstance(data, Mapping) else {"root": str(path_of(data, "Gallery.evaluate"))}
        composed = compose("embed", [(f"data.{name}", value) for name, value in given.items()])
        settings = check(Data, composed["data"]).model_dump()
        return measure(self, settings, None if split is None else split_of(split), Rules(camera_rule))

    def keep_unknown(self, predictions: Iterable[Prediction], folder: str | Path | None = None) -> list[Path]:
        """Keeps the images that were called unknown as files, to be looked at and enrolled later, see `suggest`.

        Args:
            predictions: Of `predict`; those with a label or an error are passed over.
            folder: None for `unknown` in the gallery's own.

        Returns:
            The files, one per content.

        Raises:
            GalleryError: An image cannot be read any more; the others are kept. Or as `unknown_folder`.
        """
        from lookalike.gallery.unknown import keep_unknown

        return keep_unknown(predictions, self.unknown_folder(folder))

    def suggest(self, folder: str | Path | None = None, *, least: int = 2) -> "Suggestions":
        """Groups kept unknown images that probably show the same new thing, and says which to label next.

        Args:
            folder: Of the images; None for `unknown` in the gallery's own. Those that are enrolled are left out.
            least: Observations that make a group, at least 1.

        Raises:
            GalleryError: There is no image, or there are too many, `least` is below 1, or as `unknown_folder`.
            LookalikeError: scikit-learn is not installed.
        """
        from lookalike.gallery.suggest import need_suggestible, suggest

        kept = self.unknown_files(folder)
        if not kept:
            raise GalleryError(
                f"{self.unknown_folder(folder)}: no unknown image there that is not enrolled: predict with "
                "keep_unknown keeps them, or give another folder"
            )
        need_suggestible(len(kept), least)  # before they are embedded
        errors: dict[int, str] = {}
        embeddings = self.encoder.embed(kept, errors=errors)
        for text in errors.values():
            say(text)
        good = [place for place in range(len(kept)) if place not in errors]
        references = self.references if len(self) else None
        return suggest([kept[place] for place in good], embeddings[good], references=references, least=least)

    def unknown_files(self, folder: str | Path | None = None) -> list[Path]:
        """The kept unknown images that are not enrolled, sorted.

        Args:
            folder: Of the images; None for `unknown` in the gallery's own.
        """
        place = self.unknown_folder(folder)
        return self.not_enrolled(find_images(place, PassedOver()) if place.is_dir() else [])

    def not_enrolled(self, files: Iterable[Path]) -> list[Path]:
        """Those of some files that are not enrolled, or not any more, in their order.

        Args:
            files: Images.
        """
        sources = {source_of(file, 0): file for file in files}
        numbers = np.array(sorted(self._store.having("source", list(sources))), np.int64)  # removed ones too
        enrolled = set(self._store.sources(numbers[np.isin(numbers, self._snapshot()[1])].tolist()))
        return [file for source, file in sources.items() if source not in enrolled]

    def unknown_folder(self, folder: str | Path | None = None) -> Path:
        """Where `keep_unknown` keeps images.

        Args:
            folder: None for `unknown` in the gallery's own.

        Raises:
            GalleryError: No folder is given, and a gallery on a server has none; or it is a file.
        """
        if folder is not None:
            place = path_of(folder, "unknown images")
            if place.is_file():
                raise GalleryError(
                    f"{place}: expected a folder of unknown images, found a file: give the folder it is in"
                )
            return place
        if not isinstance(self.path, Path):
            raise GalleryError(
                f"{self.path}: expected a folder for unknown images, as a gallery on a server has none of its own: "
                "give one, on the command line predict keep_unknown=<folder> and gallery suggest images=<folder>"
            )
        return self.path / UNKNOWN_FOLDER

    def reembed(
        self, model: HasEncoder, *, note: str = "", progress: Callable[[int], None] = lambda done: None
    ) -> Reembedding:
        """Moves the gallery to another model: all images are embedded anew, while others search and enrol.

        The file that an image was enrolled from is used where it still shows the same, else the small picture that is
        kept. The history stays; other processes have to open the gallery again.

        Args:
            model: The new one.
            note: Why, for the history.
            progress: Called with the number of images done since the last call.

        Raises:
            GalleryError: It is the model of the gallery, or an image has neither file nor picture; nothing is changed.
        """
        encoder = _encoder_of(model)
        if encoder.fingerprint == self._store.about["fingerprint"]:
            raise GalleryError(f"{self.path}: has this model already: give another")
        kept = f"{KEPT}-{encoder.fingerprint[:12]}"
        with keeping_model(model, self.path, kept):
            done = reembed(self._store, encoder, _about(model, kept), as_note(note), progress)
        self._reopened(model)
        return done

    def opened_again(self) -> "Gallery":
        """The same place, opened anew: by its own model where another process moved it to another than this one's.

        Raises:
            StoreError: It cannot be opened any more.
        """
        store = self._store.opened_again()
        same = self._model is not None and store.about["fingerprint"] == self._model.encoder.fingerprint
        return Gallery(self.path, self._model if same else None, store, self._options)

    def _reopened(self, model: HasEncoder) -> None:
        self._store.close()
        self._store = self._store.opened_again()
        self._rows, self._model, self._voting = Snapshot(self._store), self._own(model), None
        self._limits.clear()

    def verify(self) -> Verification:
        """Compares every image with its checksums, and looks for rows that belong to none."""
        return verify(self._store, self.path)

    def compact(self) -> int:
        """Gives back the room of what was forgotten, and of networks of earlier models; returns how many bytes.

        Raises:
            StoreError: Another process moved the gallery to another model: open it again.
        """
        freed = self._store.compact()
        return freed + (discard_networks(self.path, self._store) if isinstance(self.path, Path) else 0)

    def close(self) -> None:
        """Lets go of the file and of what was read of it; the gallery can be opened again."""
        self._store.close()
        self._rows, self._voting = Snapshot(self._store), None
        self._limits.clear()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _snapshot(self) -> tuple[References, np.ndarray]:
        return self._rows.current()


def _about(model: HasEncoder, kept: str = KEPT) -> dict[str, str]:
    """What a gallery says of its model."""
    encoder = _encoder_of(model)
    return {
        "fingerprint": encoder.fingerprint,
        "precision": encoder.precision,
        "dimensions": str(encoder.size),
        "model": about_model(model, kept),
    }


def _encoder_of(model: HasEncoder) -> Encoder:
    if not hasattr(model, "encoder"):
        recipe = repr(model) if isinstance(model, str) else "'efficientnet_lite0'"
        raise GalleryError(
            f"expected a model that embeds, got {model!r}: give Model.load(<bundle>), or Model.pretrained({recipe})"
        )
    return model.encoder
