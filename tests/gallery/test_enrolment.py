"""Whatever form images have, they get labels and sources."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.enrolment import as_label, as_new_label, labels_for, spread
from lookalike.gallery.sources import source_of
from lookalike.inference.references import GalleryError


def test_folders_become_their_images_and_the_rest_stays(digits: Path) -> None:
    folder, file = digits / "test" / "digit 0", digits / "test" / "digit 1" / "0143.png"
    inside = sorted(folder.glob("*.png"))
    array = np.zeros((8, 8, 3), np.uint8)
    assert spread(folder) == spread(str(folder)) == inside
    mixed = spread([folder, str(file), array])
    assert mixed[:5] == [*inside, str(file)]
    assert mixed[5] is array
    assert spread(path for path in inside) == inside
    assert spread(array)[0] is array
    assert [image.shape for image in spread(np.stack([array, array]))] == [array.shape] * 2  # type: ignore[union-attr]


def test_nothing_to_enrol_is_refused(tmp_path: Path) -> None:
    for nothing in ([], tmp_path, np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(GalleryError, match=r"add: no image there: give files, a folder of images, arrays or pict"):
            spread(nothing)  # type: ignore[arg-type]


def test_a_label_for_all_or_one_each_or_from_the_folders() -> None:
    files = [Path("/photos/Kiwi/1.jpg"), "/photos/Leek/2.jpg"]
    assert labels_for(files, "Pear") == ["Pear", "Pear"]
    assert labels_for(files, ["a", "b"]) == labels_for(files, np.array(["a", "b"])) == ["a", "b"]
    assert labels_for(files, (name for name in ("a", "b"))) == ["a", "b"]
    assert labels_for(files, None) == ["Kiwi", "Leek"]


def test_labels_are_composed_as_those_of_data_sets_are(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Crème brûlée")
    assert as_label(decomposed) == "Crème brûlée" != decomposed
    assert labels_for([tmp_path / decomposed / "1.jpg"], None) == ["Crème brûlée"]


@pytest.mark.parametrize("label", ['<b>"Kiwi"</b>', "O'Brien", "two\nlines", "🍐", "a  b", "日本", "0002", "unknown"])
def test_any_text_is_a_label(label: str) -> None:
    assert as_label(label) == as_label(f" {label}\u00a0") == label


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("", "label '': expected text that is not empty"),
        (" \n", r"label ' \\n': expected text that is not empty"),
        (5, "label 5: expected text that is not empty"),
        (None, "label None: expected text that is not empty"),
        ("\udce9t\udce9", "not UTF-8: rename the folder, or give labels="),
    ],
)
def test_what_is_no_label_is_refused(label: object, text: str) -> None:
    with pytest.raises(GalleryError, match=text):
        as_label(label)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["a"], "add: expected one label for all or one per image, got 1 for 2 images"),
        (["a", "b", "c"], "got 3 for 2 images"),
        (["a", ""], "label '': expected text that is not empty"),
        (7, "add: labels=7: expected text, or a text for every image"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: object, text: str) -> None:
    with pytest.raises(GalleryError, match=text):
        labels_for([Path("a.jpg"), Path("b.jpg")], labels)  # type: ignore[arg-type]


def test_an_image_without_a_folder_needs_a_label() -> None:
    with pytest.raises(GalleryError, match=r"add: 1 of 2 images have no folder that names them: give labels="):
        labels_for([Path("Kiwi/a.jpg"), b"bytes"], None)


def test_sources_are_whole_paths_or_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_of("a/../b.jpg", 3) == source_of(Path("b.jpg"), 0) == str((tmp_path / "b.jpg").resolve())
    assert source_of(b"bytes", 3) == "image 4"
    assert source_of("/photos/\udce9.jpg", 0) == "/photos/\\udce9.jpg", "SQLite stores nothing but UTF-8"


@pytest.mark.parametrize("label", ["two\nlines", "a\tb", "bell\x07", "a\u2028b", "a\x85b"])
def test_a_label_is_one_line(label: str) -> None:
    with pytest.raises(
        GalleryError, match=r"^label '.*\\u[0-9a-f]{4}.*': expected one line of text, found a line break or"
    ):
        as_new_label(label)
    assert as_label(label) == label, "what an earlier version enrolled can be renamed"


def test_the_word_of_predictions_is_no_label() -> None:
    with pytest.raises(
        GalleryError, match=r"^label 'unknown': is what predictions say where no known image is near: give"
    ):
        as_new_label(" unknown ")
    assert [as_new_label(label) for label in ("Unknown", "unknown fruit")] == ["Unknown", "unknown fruit"]


def test_a_table_is_no_image(tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text("path,label\n")
    with pytest.raises(
        GalleryError, match=r"photos\.csv: a table, expected images: read it with read_enrolment of lookali"
    ):
        spread(table)
