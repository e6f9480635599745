"""Unknown images are grouped by what they show; a label that helps comes early."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from lookalike import Model
from lookalike.gallery.suggest import MOST, suggest, taken
from lookalike.gallery.suggestions import Suggestions
from lookalike.inference.references import GalleryError, References


def turned(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def named(count: int) -> list[Path]:
    return [Path(f"/photos/{number}.jpg") for number in range(count)]


def references(*degrees: float, labels: str = "abcdefgh") -> References:
    return References(turned(*degrees), list(labels[: len(degrees)]), named(len(degrees)), Path(), "f" * 64)  # type: ignore[arg-type]


def partition(suggestions: Suggestions) -> set[frozenset[int]]:
    return {frozenset(group.rows) for group in suggestions.groups}


def test_groups_stand_by_size_with_their_most_central_image_first() -> None:
    known = references(-90, -60, -30, 0)
    made = suggest(named(7), turned(200, 90, 100, 104, 201, 91, 150), references=known)
    assert made.cut == pytest.approx(np.cos(np.deg2rad(30)), abs=0.01)
    assert partition(made) == {frozenset({1, 2, 3, 5}), frozenset({0, 4})}
    assert [group.label for group in made.groups] == ["new 1", "new 2"]
    assert made.groups[0].rows[0] in (2, 5)
    assert made.groups[0].observations == 4
    assert made.singles == (6,)
    assert made.nearest == ("a", "d", "d", "d", "a", "d", "a")
    assert made.similarity[1] == pytest.approx(0, abs=1e-6)
    assert made.groups[1].nearest == "a"
    assert sorted(made.order) == [1, 2, 3, 4, 5, 6, 7]


def test_names_that_are_labels_already_are_passed_over() -> None:
    known = References(turned(0, 90), ["new 1", "x"], ["a", "b"], Path(), "f" * 64)
    made = suggest(named(4), turned(170, 171, 270, 271), references=known)
    assert [group.label for group in made.groups] == ["new 2", "new 3"]


def test_a_burst_counts_once() -> None:
    known = references(-90, -60, -30, 0)
    embeddings = turned(90, 91, 92, 200, 203)
    times = ["2024-05-31T14:00:00", "2024-05-31T14:00:02", "2024-05-31T14:00:04", "2024-05-31T15:00:00", ""]
    made = suggest(named(5), embeddings, references=known, times=times)
    assert partition(made) == {frozenset({3, 4})}
    assert set(made.singles) == {0, 1, 2}, "seen once"
    assert made.order[1] <= 4
    assert set(made.order[[0, 2]]) == {4, 5}, "the rest of a burst is labelled last"
    apart = suggest(named(5), embeddings, references=known, times=times, cameras=["x", "y", "x", "y", "x"])
    assert partition(apart) == {frozenset({0, 1, 2}), frozenset({3, 4})}
    alone = suggest(named(5), embeddings, references=known, times=times, least=1)
    assert partition(alone) == {frozenset({0, 1, 2}), frozenset({3, 4})}
    assert {group.rows: group.observations for group in alone.groups}[(1, 0, 2)] == 1


def test_uncertain_images_are_labelled_first() -> None:
    known = references(0, 60)
    made = suggest(named(4), turned(182, 184, 30, 32), references=known)
    assert made.order.tolist()[2] == 1, "between two labels"


def test_the_order_of_the_images_changes_no_group() -> None:
    embeddings, known = turned(200, 90, 100, 201, 150), references(-90, -60, -30, 0)
    expected = {frozenset({0, 3}), frozenset({1, 2})}
    for order in permutations(range(5)):
        groups = partition(suggest(named(5), embeddings[list(order)], references=known))
        assert {frozenset(order[row] for row in group) for group in groups} == expected


def test_without_references_images_are_compared_with_each_other() -> None:
    made = suggest(named(8), turned(0, 1, 90, 91, 180, 181, 270, 271))
    assert partition(made) == {frozenset(pair) for pair in ((0, 1), (2, 3), (4, 5), (6, 7))}
    assert made.nearest == ("",) * 8
    assert np.isnan(made.similarity).all()
    assert np.isnan(made.groups[0].similarity)
    one = suggest(named(1), turned(0))
    assert (one.groups, one.singles, one.order.tolist()) == ((), (0,), [1])


def test_digits_that_were_not_enrolled_are_grouped(model: Model, digits: Path) -> None:
    enrolled = sorted(path for path in (digits / "train").rglob("*.png") if path.parent.name < "digit 3")
    new = sorted(path for path in (digits / "train").rglob("*.png") if path.parent.name >= "digit 3")
    encoder = model.encoder
    labels = [path.parent.name for path in enrolled]
    known = References(encoder.embed(enrolled), labels, list(map(str, enrolled)), Path(), encoder.fingerprint)
    made, again = (suggest(new, encoder.embed(new), references=known) for _ in range(2))
    assert partition(made) == partition(again)
    assert np.array_equal(made.order, again.order)
    assert sorted([row for group in made.groups for row in group.rows] + list(made.singles)) == list(range(20))


def test_photographs_of_new_fruits_are_grouped(few_produce: Path) -> None:
    model = Model.pretrained("efficientnet_lite0")
    folders = sorted(path.name for path in (few_produce / "validation").iterdir())
    files = sorted((few_produce / "validation").rglob("*.jpg"))
    names = np.array([file.parent.name for file in files])
    embeddings = model.encoder.embed(files)
    enrolled = np.isin(names, folders[::2])
    rows = [str(file) for file, inside in zip(files, enrolled, strict=True) if inside]
    known = References(embeddings[enrolled], names[enrolled].tolist(), rows, Path(), model.encoder.fingerprint)
    new = [file for file, inside in zip(files, enrolled, strict=True) if not inside]
    made = suggest(new, embeddings[~enrolled], references=known)
    codes = np.arange(len(new)) + len(new)
    for number, group in enumerate(made.groups):
        codes[list(group.rows)] = number
    assert adjusted_rand_score(names[~enrolled], codes) > 0.4
    assert set(made.nearest) <= set(folders[::2])


def test_exif_says_when_a_photograph_was_taken(tmp_path: Path) -> None:
    times = {"a.jpg": "2024:05:31 14:22:33", "b.jpg": "nonsense", "c.jpg": ""}
    for name, text in times.items():
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = text
        Image.new("RGB", (32, 32)).save(tmp_path / name, exif=exif)
    (tmp_path / "d.jpg").write_bytes(b"no image")
    files = [tmp_path / f"{letter}.jpg" for letter in "abcde"]
    assert taken(files) == ["2024:05:31 14:22:33", "", "", "", ""]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"files": []}, f"expected 1 to {MOST} images, found 0: keep unknown images first"),
        ({"files": named(MOST + 1)}, f"found {MOST + 1}: label some of them first"),
        ({"files": named(3)}, r"expected embeddings float32 \[3, 2\], a row per image, found float32 \[2, 2\]"),
        ({"embeddings": np.ones((2, 3), np.float32)}, r"expected embeddings float32 \[2, 2\].* found float32 \[2, 3\]"),
        ({"embeddings": np.ones((2, 2), int)}, r"found int64 \[2, 2\]: embed the images with the model"),
        ({"embeddings": np.zeros((2, 2), np.float32)}, "expected embeddings of length 1, found 0 for /photos/0.jpg"),
        ({"embeddings": np.full((2, 2), np.nan, np.float32)}, "found nan for /photos/0.jpg: leave images out"),
        ({"cameras": [1]}, "expected one of cameras per image, found 1 for 2 images"),
        ({"times": ["2024"] * 3}, "expected one of times per image, found 3 for 2 images"),
        ({"times": ["yesterday", ""]}, "times: row 2: date is 'yesterday': expected such as .* or an empty text"),
        ({"least": 0}, "least=0: expected a whole number from 1"),
        ({"least": True}, "least=True: expected a whole number from 1"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], text: str) -> None:
    given: dict[str, object] = {"files": named(2), "embeddings": turned(0, 1), "references": references(0, 60)}
    with pytest.raises(GalleryError, match=text):
        suggest(**(given | change))  # type: ignore[arg-type]
