"""How many predictions are right: what is not counted, and what names the truth."""

import shutil
from pathlib import Path

import pytest

from image_folders import files_of
from lookalike.data.thumbnail import thumbnail
from lookalike.inference.predict import Neighbour, Prediction
from lookalike.inference.rightness import Rightness, by_folders, by_table, is_known_image, with_truths


def named(image: str, label: str | None, truth: str | None, *, unknown: bool = False) -> Prediction:
    score = None if unknown or label is None else 1.0
    return Prediction(image, label, score, truth, (Neighbour(1, str(label), "/known/a.jpg", 0.5),), query=image)


PREDICTED = (
    named("/photos/Kiwi/1.jpg", "Kiwi", "Kiwi"),
    named("/photos/Kiwi/2.jpg", "Leek", "Kiwi"),
    named("/photos/Melon/3.jpg", "Kiwi", None),
    named("/photos/Melon/4.jpg", "unknown", None, unknown=True),
    named("/photos/5.jpg", "Kiwi", None),
)


def test_folders_beside_known_labels_are_labels_that_are_not_known() -> None:
    counted = by_folders(PREDICTED, Path("/photos"))
    assert counted == Rightness(1, 2, 2, 1, 0)
    line = "1 of 2 right, taking the name of the folder as the label; 2 more are of labels that are not known"
    assert counted.lines(limited=False) == [line]
    assert counted.lines(limited=True) == [f"{line}, 1 of them called unknown"]
    assert by_folders(PREDICTED[2:], Path("/photos")).lines(limited=False) == [], "these folders may be days"
    assert by_folders(PREDICTED, None) == Rightness(1, 2)


def test_the_column_of_a_table_names_the_truth() -> None:
    truths = ["Leek", " Leek ", "Melon", "", "Kiwi"]
    items = with_truths(PREDICTED, truths, ["Kiwi", "Leek"])
    assert [item.truth for item in items] == ["Leek", "Leek", None, None, "Kiwi"]
    counted = by_table(items, truths)
    assert counted == Rightness(2, 3, 1, 0, 0, by_table=True)
    assert counted.lines(limited=False) == [
        "2 of 3 right, taking the column label of the table as the label; 1 more is of labels that are not known"
    ]


def near(image: Path, path: str, similarity: float, small: bytes = b"", box: tuple | None = None) -> Prediction:
    neighbours = (
        Neighbour(1, "x", "/other.png", similarity, b""),
        Neighbour(2, "Kiwi", path, similarity, small),
    )
    return Prediction(str(image), "Kiwi", 1.0, "Kiwi", neighbours, query=image, box=box)


def test_an_image_that_is_known_itself_is_not_counted(digits: Path, tmp_path: Path) -> None:
    file, other = files_of(digits, "train/digit 3/*.png")[:2]
    copy = Path(shutil.copy(file, tmp_path / "copy.png"))
    small = thumbnail(file, 160)
    assert is_known_image(near(file, str(file), 0.7)), "by its file, whatever network sees it"
    assert is_known_image(near(copy, str(file), 1.0)), "a copy is known by its bytes"
    assert is_known_image(near(copy, "/gone.png", 1.0, small)), "or by the small picture that is kept"
    assert not is_known_image(near(copy, "/gone.png", 0.9, small)), "which is looked at where it is near"
    assert not is_known_image(near(other, "/gone.png", 1.0, small))
    assert not is_known_image(near(other, str(file), 1.0))
    half = (0.0, 0.0, 4.0, 8.0)
    assert not is_known_image(near(file, str(file), 0.7, small, half)), "parts of one file are several images"
    link = tmp_path / "link.png"
    link.symlink_to(file)
    counted = by_folders([near(link, str(file), 1.0), near(other, str(file), 0.4)], None)
    assert counted == Rightness(1, 1, themselves=1)
    assert counted.lines(limited=False)[0] == (
        "1 image not counted as right or wrong: known images themselves, which find themselves"
    )
    assert by_folders([near(link, str(file), 1.0)], None).lines(limited=False)[1:] == []


@pytest.mark.parametrize("error", ["", "x.jpg: not an image"])
def test_images_that_cannot_be_used_are_neither(error: str) -> None:
    broken = Prediction("/photos/Melon/1.jpg", None, None, None, (), error or "e")
    assert by_folders([*PREDICTED[:2], broken], Path("/photos")).strangers == 0
    assert by_table([broken], ["Kiwi"]) == Rightness(0, 0, by_table=True)
