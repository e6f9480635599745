"""Enrolled images change their labels, go and come back: all that are named, or none."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.errors import LookalikeError
from lookalike.gallery.history import Writing
from lookalike.gallery.rows import StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.inference.references import GalleryError

from .conftest import Place


def test_a_label_is_renamed_and_never_into_one_that_is_there(gallery: Gallery) -> None:
    assert gallery.rename("digit 1", "one") == 10
    labels = {"digit 0": 10, "digit 2": 10, "digit 3": 10, "digit 4": 10, "one": 10}
    assert gallery.labels == labels
    text = (
        r"^.*: rename: expected a label that is not there, found 'digit 2' with 10 images: gallery merge makes them one"
    )
    with pytest.raises(GalleryError, match=text):
        gallery.rename("one", " digit 2")
    assert gallery.rename("digit 2", "digit 2") == 10
    for gone in ("x", "digit 2"):
        with pytest.raises(GalleryError, match=r"has no label 'digit 1'; did you mean digit"):
            gallery.rename("digit 1", gone)
    with pytest.raises(GalleryError, match="label '': expected text that is not empty"):
        gallery.rename("digit 2", "")
    assert gallery.labels == labels


def test_labels_are_merged_and_counted(gallery: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    assert gallery.merge(["digit 1", "digit 2", "digit 1"], to="digit 2") == 10
    assert "10 images have the label 'digit 2' now that had another" in " ".join(capsys.readouterr().err.split())
    assert gallery.labels == {"digit 0": 10, "digit 2": 20, "digit 3": 10, "digit 4": 10}
    assert gallery.merge((name for name in ("digit 0", "digit 2")), to="low") == 30
    merged = {"digit 3": 10, "digit 4": 10, "low": 30}
    with pytest.raises(GalleryError, match=r"has no label 'digit 1'; did you mean digit"):
        gallery.merge(["digit 3", "digit 1"], to="low")
    with pytest.raises(GalleryError, match="merge: expected one label or several, got none"):
        gallery.merge([], to="low")
    with pytest.raises(GalleryError, match="label ' ': expected text that is not empty"):
        gallery.merge("low", to=" ")
    assert gallery.labels == merged


def test_images_go_by_label_number_or_source(gallery: Gallery, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gallery.remove(label="digit 0") == 10
    first, second = files_of(digits, "train/digit 1/*.png")[:2]
    monkeypatch.chdir(digits)
    assert gallery.remove(source=first.relative_to(digits)) == 1
    assert gallery.remove(source=str(second)) == 1
    (number,) = gallery.add(first)
    assert number == 51
    assert gallery.remove(image=number) == 1
    assert gallery.labels == {"digit 1": 8, "digit 2": 10, "digit 3": 10, "digit 4": 10}
    numbers, _ = gallery.search(gallery.references.embeddings, k=1)
    assert numbers[:, 0].tolist() == list(range(13, 51)), "the numbers of the others stay"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, r"remove: expected one of label=, image= and source=: give exactly one"),
        ({"label": "a", "image": 1}, r"give exactly one"),
        ({"label": "digit"}, r"has no label 'digit'"),
        ({"image": 51}, r"remove: image=51 is not in .*: gallery list label=<label> shows the numbers of its images"),
        ({"source": "gone.png"}, r"remove: source=gone\.png is not in "),
    ],
)
def test_what_is_not_there_cannot_be_removed(gallery: Gallery, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(GalleryError, match=text):
        gallery.remove(**arguments)  # type: ignore[arg-type]
    assert len(gallery) == 50


def test_several_numbers_are_removed_together_or_not_at_all(gallery: Gallery) -> None:
    with pytest.raises(
        GalleryError, match=r"image=99 is not in .*: gallery list label=<label> shows the numbers of its images"
    ):
        gallery.remove(image=[1, 2, 99])
    for odd in (5.9, "x", [True], 10**30):
        with pytest.raises(GalleryError, match=r"image=.*: expected a whole number"):
            gallery.remove(image=odd)  # type: ignore[arg-type]
    with pytest.raises(GalleryError, match="image=nothing is not in"):
        gallery.remove(image=[])
    assert len(gallery) == 50
    assert gallery.remove(image=np.array([1, 2])) == 2
    assert len(gallery) == 48
    assert gallery.remove(image=np.array(3)) == 1
    assert gallery.remove(image={4, 5}) == 2


def test_texts_that_are_no_unicode_are_kept_readable(gallery: Gallery, digits: Path) -> None:
    image = files_of(digits, "test/*/*.png")[0]
    gallery.add(image, labels="new", note="from \udce9")
    gallery.rename("new", "newer", note="\ud800")
    for source in ("\ud800", "a\0b"):
        with pytest.raises(GalleryError, match=r"remove: source=.* is not in .*: give the path it was enrolled from"):
            gallery.remove(source=source)
    with pytest.raises(LookalikeError, match="an address, and addresses are not fetched"):
        gallery.remove(source="https://host/a.png")
    assert gallery.remove(source=image) == 1


def test_an_image_without_a_file_goes_by_its_name(gallery: Gallery, digits: Path) -> None:
    array = cv2.imread(str(files_of(digits, "test/digit 2/*.png")[0]))
    gallery.add(array, labels="of an array")
    assert gallery.remove(source="image 1") == 1
    assert "of an array" not in gallery.labels


def test_single_images_are_moved_all_or_none(gallery: Gallery) -> None:
    assert gallery.move([1, 2, 11], "digit 1") == 2, "one had it"
    assert gallery.labels["digit 1"] == 12
    for numbers in ([3, 99], 99):
        with pytest.raises(
            GalleryError,
            match=r"^move: image=99 is not in .*: gallery list label=<label> shows the numbers of its images$",
        ):
            gallery.move(numbers, "x")
    with pytest.raises(GalleryError, match=r"^label '': expected text that is not empty$"):
        gallery.move(3, "")
    assert gallery.undo(gallery.log()[0].number) == 2
    assert gallery.labels == {f"digit {number}": 10 for number in range(5)}


def test_what_was_kept_of_forgotten_images_goes_with_them(model: Model, digits: Path, tmp_path: Path) -> None:
    """The copies that the gallery made itself; files of others stay."""
    mine = tmp_path / "mine.png"
    files = sorted((digits / "train" / "digit 4").glob("*.png"))[:3]
    mine.write_bytes(files[0].read_bytes())
    with Gallery.create(tmp_path / "shop", model) as gallery:
        gallery.add(digits / "train" / "digit 0")
        kept = gallery.keep_unknown(gallery.predict(files[1:], threshold=1.0))
        assert len(kept) == 2
        gallery.add([mine, kept[0]], "Anna")
        assert gallery.forget(label="Anna") == 2
        assert [file.exists() for file in (mine, *kept)] == [True, False, True]


@pytest.fixture
def kept(model: Model, digits: Path, tmp_path: Path) -> Iterator[tuple[Gallery, Path]]:
    """A gallery, and a copy in its own folder, which is enrolled as Anna."""
    with Gallery.create(tmp_path / "shop", model) as gallery:
        gallery.add(digits / "train" / "digit 0")
        (file,) = gallery.keep_unknown(gallery.predict(files_of(digits, "train/digit 4/*.png")[:1], threshold=1.0))
        gallery.add([file], "Anna")
        yield gallery, file


def test_a_kept_file_stays_where_its_image_could_not_be_forgotten(
    kept: tuple[Gallery, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, file = kept

    def failing(*given: object) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Writing, "forget", failing)
    with pytest.raises(StoreError, match=r"cannot be used \(disk I/O error\)"):
        gallery.forget(label="Anna")
    assert gallery.labels["Anna"] == 1
    assert file.exists()


def test_a_kept_file_goes_although_its_bytes_in_the_log_cannot_go_yet(
    kept: tuple[Gallery, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, file = kept
    erased = iter([False])

    def erase(store: SqliteStore) -> bool:
        for answer in erased:
            return answer
        raise StoreError("another process reads the gallery")

    monkeypatch.setattr(SqliteStore, "erase", erase)
    with pytest.raises(StoreError, match="another process reads the gallery"):
        gallery.forget(label="Anna")
    assert not file.exists()


def test_a_kept_file_that_a_killed_process_left_goes_with_the_next_call(
    kept: tuple[Gallery, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the images were forgotten and the file was about to go."""
    gallery, file = kept
    assert isinstance(gallery.path, Path)
    plain = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == file:
            raise KeyboardInterrupt
        plain(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            gallery.forget(label="Anna")
    assert "Anna" not in gallery.labels
    assert file.exists()
    with Gallery.open(gallery.path) as again:
        assert again.forget(label="Anna") == 0, "said, too"
        assert not file.exists()
        stored = [path.read_bytes() for path in gallery.path.iterdir() if path.is_file()]
        assert not any(text in content for text in (b"Anna", os.fsencode(file.name)) for content in stored)
        with pytest.raises(GalleryError, match="has no label 'Anna'"):
            again.forget(label="Anna")


def test_several_labels_are_removed_and_forgotten_together_or_not_at_all(gallery: Gallery) -> None:
    for verb in (gallery.remove, gallery.forget):
        with pytest.raises(GalleryError, match=r"has no label 'nobody'"):
            verb(label=["digit 0", "nobody"])
        with pytest.raises(GalleryError, match=r": label=\[\]: expected a label or several"):
            verb(label=[])
    assert len(gallery) == 50
    assert gallery.remove(label=["digit 0", "digit 1"]) == 20
    assert gallery.forget(label=("digit 1", "digit 2")) == 20, "those that were removed, too"
    assert list(gallery.labels) == ["digit 3", "digit 4"]


def test_labels_that_are_joined_by_a_comma_are_told_to_stand_in_brackets(gallery: Gallery) -> None:
    with pytest.raises(
        GalleryError, match=r"has no label 'digit 0,digit 1': several are given in brackets, \[digit 0,digit"
    ):
        gallery.merge("digit 0,digit 1", "x")


def test_labels_of_predictions_and_of_several_lines_are_given_to_nothing(gallery: Gallery) -> None:
    for change in (
        lambda label: gallery.rename("digit 0", label),
        lambda label: gallery.merge(["digit 0"], label),
        lambda label: gallery.move(1, label),
        lambda label: gallery.add_embeddings(gallery.references.embeddings[:1], label),
    ):
        with pytest.raises(GalleryError, match=r"^label 'unknown': is what predictions say"):
            change("unknown")
        with pytest.raises(GalleryError, match=r"expected one line of text"):
            change("two\nlines")
    assert gallery.version == 1


def test_a_past_gallery_is_not_changed(gallery: Gallery) -> None:
    past = gallery.at(1)
    with pytest.raises(
        GalleryError, match=r"^remove: the gallery as it was after change 1 is searched and never changed: cha"
    ):
        past.remove(image=1)  # type: ignore[attr-defined]
    assert not hasattr(past, "remove")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        past.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_number_of_changes_is_none_below_zero(gallery: Gallery) -> None:
    assert gallery.log(0) == []
    with pytest.raises(GalleryError, match=r"^most=-1: expected how many changes, from 0, or None for all$"):
        gallery.log(-1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda gallery: gallery.move([1, 3], "x"), r"^move: image=3 is not in "),
        (lambda gallery: gallery.remove(image=[1, 3]), r"^remove: image=3 is not in "),
        (lambda gallery: gallery.remove(label=["digit 0", "c"]), r"has no label 'c'"),
    ],
)
def test_all_or_none_holds_when_another_removes_one_at_the_last_moment(
    place: Place,
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Gallery], int],
    text: str,
) -> None:
    """Between what was looked at before the transaction and the transaction itself."""
    with Gallery.create(place.text, gallery.model) as made, closing(place.open()) as other:
        made.add_embeddings(gallery.references.embeddings[[0, 1, 20]], ["digit 0", "digit 0", "c"])
        plain = SqlStore._change

        @contextmanager
        def late(store: SqlStore, action: str, note: str) -> Iterator[object]:
            if store is not other:
                other.remove("id", [3], "")
            with plain(store, action, note) as writing:
                yield writing

        monkeypatch.setattr(SqlStore, "_change", late)
        with pytest.raises(GalleryError, match=text):
            change(made)
        assert made.labels == {"digit 0": 2}
        assert [entry.action for entry in made.log()] == ["remove", "add"], "the one of the other"
