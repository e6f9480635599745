"""How well a gallery is kept: labels with few images, and planted wrong labels on real photographs."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.gallery import health as watched
from lookalike.gallery.health import Doubt, health_of
from lookalike.inference.references import References


def references(rows: list[list[float]], labels: list[str]) -> References:
    given = np.array(rows, np.float32)
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    return References(unit.astype(np.float32), labels, [f"{row}.jpg" for row in range(len(labels))], Path(), "f" * 64)


KIWIS, LEEKS = [[1.0, 0.01 * place] for place in range(4)], [[0.01 * place, 1.0] for place in range(4)]
NUMBERS = np.arange(10, 30, dtype=np.int64)


def test_labels_with_few_images_come_first() -> None:
    labels = ["b", "b", "a", *["c"] * 3, "d", "d"]
    health = health_of(references([*KIWIS, *LEEKS], labels), NUMBERS[:8])
    assert list(health.few.items()) == [("a", 1), ("b", 2), ("d", 2)]
    assert (health.images, health.asked) == (8, 8)


def test_it_is_told_in_lines() -> None:
    health = health_of(references([*KIWIS, *LEEKS, [0.0, 1.0]], [*["Kiwi"] * 4, *["Leek"] * 4, "Pear"]), NUMBERS[:9])
    assert str(health) == (
        "9 images, 9 asked their neighbours: 1 probably called wrong\nlabels with fewer than 3 images: 'Pear' 1"
    )
    assert str(health.doubts[0]) == "image 18: called 'Pear', its neighbours 'Leek' (similarity 1.000)"


def test_an_image_whose_neighbours_have_one_other_label_is_doubted() -> None:
    rows = [*KIWIS, *LEEKS, [0.0, 1.0]]
    health = health_of(references(rows, [*["Kiwi"] * 4, *["Leek"] * 4, "Kiwi"]), NUMBERS[:9])
    (doubt,) = health.doubts
    assert (doubt.number, doubt.label, doubt.suggestion) == (18, "Kiwi", "Leek")
    assert doubt.similarity == pytest.approx(1)


def test_neighbours_that_do_not_agree_say_nothing() -> None:
    rows = [*KIWIS, [1.0, 0.02]]
    assert health_of(references(rows, ["a", "b", "c", "d", "e"]), NUMBERS[:5]).doubts == ()


def test_one_right_neighbour_of_three_is_enough() -> None:
    rows = [*KIWIS, [1.0, 0.02]]
    assert health_of(references(rows, ["a", "a", "a", "b", "b"]), NUMBERS[:5]).doubts == ()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_gallery_too_small_to_ask_is_only_counted(count: int) -> None:
    made = references([*KIWIS, *LEEKS][:count] or [[1.0, 0.0]], ["a"] * max(count, 1))
    health = health_of(made, NUMBERS[: max(count, 1)])
    assert (health.asked, health.doubts) == (0, ())


def test_the_most_similar_come_first_and_ties_by_number() -> None:
    rows = [*KIWIS, *LEEKS, [0.5, 1.0], [0.0, 1.0], [0.0, 1.0]]
    labels = [*["Kiwi"] * 4, *["Leek"] * 4, *["Kiwi"] * 3]
    doubts = health_of(references(rows, labels), NUMBERS[:11]).doubts
    assert [doubt.similarity for doubt in doubts] == sorted((doubt.similarity for doubt in doubts), reverse=True)


def test_of_a_large_gallery_some_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_ASKING", 3)
    health = health_of(references([*KIWIS, *LEEKS], ["a"] * 8), NUMBERS[:8])
    assert (health.images, health.asked) == (8, 3)


@pytest.mark.slow
def test_planted_wrong_labels_are_found_on_photographs(produce: Path, tmp_path: Path) -> None:
    model = Model.pretrained("efficientnet_lite0")
    with Gallery.create(tmp_path / "shop", model) as gallery:
        for label in ("Banana", "Kiwi", "Leek", "Lemon", "Asparagus"):
            gallery.add(sorted((produce / "train" / label).iterdir())[:8], label)
        wrong = gallery.add(sorted((produce / "train" / "Leek").iterdir())[8:9], "Kiwi")
        wrong += gallery.add(sorted((produce / "train" / "Banana").iterdir())[8:9], "Lemon")
        few = gallery.add(sorted((produce / "train" / "Ginger").iterdir())[:2], "Ginger")
        health = health_of(*gallery.enrolled())
    assert health.few == {"Ginger": len(few)}
    told = {doubt.number: (doubt.label, doubt.suggestion) for doubt in health.doubts}
    assert told[wrong[0]] == ("Kiwi", "Leek")
    assert told[wrong[1]] == ("Lemon", "Banana")
    assert len(told) <= 5, "few right ones are doubted"
    assert isinstance(health.doubts[0], Doubt)
