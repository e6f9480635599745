"""What else is known of images: stored as it is, given as text or as numbers, and searched by."""

from pathlib import Path

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery
from lookalike.gallery.columns import columns_for
from lookalike.inference.references import GalleryError

SHELVES = ["A3", "B1", "3", "true", "ß '\"; DROP TABLE extras; --", "two\nlines"]


def numbers_with(gallery: Gallery, **filters: object) -> list[int]:
    """The images that filters leave, by searching for every image."""
    numbers, _ = gallery.search(gallery.references.embeddings[:1], k=1000, **filters)  # type: ignore[arg-type]
    return sorted(numbers[0].tolist())


@pytest.fixture
def shelved(gallery: Gallery, digits: Path) -> Gallery:
    """Images 1 to 50 without columns, and 51 to 56 with some."""
    gallery.add(
        files_of(digits, "test/digit 0/*.png") + files_of(digits, "test/digit 1/*.png")[:2],
        "shelved",
        camera=[1, 1, 2, None, 2, 3],
        columns={
            "shelf": SHELVES,
            "weight": [1, 1.0, 2.5, None, float("nan"), np.int64(2**62)],
            "ripe": [True, False, None, True, True, False],
            "day": "Monday",
        },
    )
    return gallery


def test_one_value_for_all_or_one_each_stored_as_json() -> None:
    rows = columns_for({"b": [1, None, "x"], "a": 2.5, " c ": np.array([True, False, True])}, 3)
    assert rows == [
        (("a", "2.5"), ("b", "1"), ("c", "true")),
        (("a", "2.5"), ("c", "false")),
        (("a", "2.5"), ("b", '"x"'), ("c", "true")),
    ]
    assert columns_for(None, 2) == columns_for({}, 2) == [(), ()]
    assert columns_for({"a": [float("nan"), float("inf")]}, 2) == [(), ()]
    assert columns_for({"a\udce9": "\udce9"}, 1) == [(("a\\udce9", '"\\\\udce9"'),)], "SQLite stores nothing but UTF-8"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"shelf": ["A", "B"]}, r"columns: shelf: expected one value or 3, got 2"),
        ({"label": "x"}, r"columns: 'label': expected a name other than label, camera, source, id, .*: call it other"),
        ({" label ": "x"}, r"columns: ' label ': expected a name other than label"),
        ({"ignore": True}, r"columns: 'ignore': expected a name other than"),
        ({"": "x"}, r"columns: '': expected a name"),
        ({7: "x"}, r"columns: 7: expected a name"),
        ({"shelf": [["a"], "b", "c"]}, r"columns: shelf: expected text, a number, true or false, got \['a'\]"),
        ({"shelf": b"x"}, r"columns: shelf: expected one value or 3, got 1"),
        ({"size": 2**63}, r"columns: size: expected a number of at most 64 bits, got a larger one: give it as text"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(columns: dict[str, object], text: str) -> None:
    with pytest.raises(GalleryError, match=text):
        columns_for(columns, 3)  # type: ignore[arg-type]


def test_a_refused_column_enrols_nothing(gallery: Gallery, digits: Path) -> None:
    with pytest.raises(GalleryError, match=r"columns: shelf: expected one value or 4, got 1"):
        gallery.add(digits / "test" / "digit 0", columns={"shelf": ["A"]})
    assert (len(gallery), gallery.log()[0].number) == (50, 1)


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({"shelf": "A3"}, [51]),
        ({"shelf": ["A3", SHELVES[4]]}, [51, 55]),
        ({"shelf": "two\nlines"}, [56]),
        ({"shelf": 3}, [53]),
        ({"shelf": True}, []),
        ({"weight": 1}, [51, 52]),
        ({"weight": 1.0}, [51, 52]),
        ({"weight": "1"}, [51, 52]),
        ({"weight": "2.5"}, [53]),
        ({"weight": 2**62}, [56]),
        ({"weight": np.float32(2.5)}, [53]),
        ({"ripe": True}, [51, 54, 55]),
        ({"ripe": "true"}, [51, 54, 55]),
        ({"ripe": 1}, []),
        ({"ripe": [True, False]}, [51, 52, 54, 55, 56]),
        ({"day": "Monday"}, [51, 52, 53, 54, 55, 56]),
        ({"camera": 2}, [53, 55]),
        ({"camera": ["1", np.int64(3)]}, [51, 52, 56]),
        ({"camera": 2, "ripe": True}, [55]),
        ({"label": "shelved", "day": "Monday", "camera": [1, 2], "weight": 1}, [51, 52]),
        ({"label": " digit 0 "}, list(range(1, 11))),
        ({"label": ["digit 0", "shelved"], "shelf": "A3"}, [51]),
    ],
)
def test_where_keeps_the_images_that_fit(shelved: Gallery, where: dict[str, object], numbers: list[int]) -> None:
    if numbers:
        assert numbers_with(shelved, where=where) == numbers
        others = [number for number in range(1, 57) if number not in numbers]
        if len(where) == 1:
            assert numbers_with(shelved, unless=where) == others, "unless is the contrary of where"
    else:
        with pytest.raises(GalleryError, match=r"shop: no image is left by \w+="):
            numbers_with(shelved, where=where)


def test_of_several_columns_all_must_fit_to_stay_and_one_is_enough_to_go(shelved: Gallery) -> None:
    assert numbers_with(shelved, unless={"camera": 2, "ripe": True}) == [*range(1, 51), 52, 56]
    assert numbers_with(shelved, where={"day": "Monday"}, unless={"camera": [1, 2]}) == [54, 56]
    with pytest.raises(
        GalleryError,
        match=r"shop: no image is left by camera=1, label='shelved': ask for more: camera is 1, 2, 3; label is digit",
    ):
        numbers_with(shelved, where={"camera": 1}, unless={"label": "shelved"})


def test_source_is_a_column_of_every_gallery(shelved: Gallery, digits: Path) -> None:
    first, second = files_of(digits, "train/digit 0/*.png")[:2]
    assert numbers_with(shelved, where={"source": str(first)}) == [1]
    assert numbers_with(shelved, where={"source": [str(first), second]}) == [1, 2]
    with pytest.raises(GalleryError, match="no image is left by source="):
        numbers_with(shelved, where={"source": "\udce9"})


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (
            {"shelv": "A3"},
            r"^shelv: no such column; did you mean shelf\?; there are label, camera, source, day, ripe, ",
        ),
        ({"label": "shelve"}, r"^label='shelve': is not in the gallery; did you mean shelved\?$"),
        ({"label": ["shelved", "x"]}, r"^label='x': is not in the gallery$"),
        ({"camera": "door"}, r"^camera='door': expected a whole number: names are kept as columns, such as place$"),
        ({"camera": 1.5}, r"^camera=1\.5: expected a whole number: names are kept as columns, such as place$"),
        (
            {"camera": 10**30},
            r"^camera=1000000000000000000000000000000: expected a whole number: names are kept as columns, such as p",
        ),
        ({"camera": None}, r"^camera=None: expected a whole number: names are kept as columns, such as place$"),
        ({"shelf": None}, r"^shelf=None: expected text, a number, true or false$"),
        ({"shelf": {"a": 1}.keys()}, r"no image is left by shelf="),
        ({"shelf": [["A3"]]}, r"shelf: expected text, a number, true or false, got \['A3'\]"),
        ({"shelf": "[" * 100_000}, r"no image is left by shelf="),
        ({"weight": "Infinity"}, r"no image is left by weight='Infinity'"),
        ({"shelf": []}, r"no image is left by shelf=\[\]"),
    ],
)
def test_filters_that_name_nothing_say_so(shelved: Gallery, digits: Path, where: dict[str, object], text: str) -> None:
    file = files_of(digits, "test/digit 4/*.png")[0]
    for ask in (lambda: numbers_with(shelved, where=where), lambda: shelved.predict(file, where=where)):  # type: ignore[call-overload]
        with pytest.raises(GalleryError, match=text):
            ask()


def test_a_prediction_is_made_of_what_a_filter_leaves(shelved: Gallery, digits: Path) -> None:
    file = files_of(digits, "train/digit 0/*.png")[0]
    assert shelved.predict(file, k=1).label == "digit 0"
    among = shelved.predict(file, k=1000, where={"label": ["digit 1", "shelved"]}, unless={"camera": 1})
    assert {near.label for near in among.neighbours} == {"digit 1", "shelved"}
    assert len(among.neighbours) == 14, "k is larger than what is left"
    everything = shelved.predict(file, k=1000).neighbours
    kept = [near for near in everything if near.source in {other.source for other in among.neighbours}]
    assert [(near.source, near.similarity) for near in kept] == [
        (near.source, near.similarity) for near in among.neighbours
    ], "in the order, and with the similarities, of a search without filters"


def test_columns_are_told_of_images_and_follow_them(shelved: Gallery) -> None:
    images = shelved.images(" shelved")
    assert [image.number for image in images] == [51, 52, 53, 54, 55, 56]
    assert images[0].columns == {"day": "Monday", "ripe": True, "shelf": "A3", "weight": 1}
    assert images[3].columns == {"day": "Monday", "ripe": True, "shelf": "true"}
    assert [image.camera for image in images] == [1, 1, 2, None, 2, 3]
    assert str(images[0]).endswith("camera=1  day=Monday  ripe=True  shelf=A3  weight=1")
    shelved.rename("shelved", "moved")
    shelved.remove(image=52)
    assert numbers_with(shelved, where={"weight": 1}) == [51], "a removed one is in no search"
    shelved.undo(shelved.log()[0].number)
    assert numbers_with(shelved, where={"weight": 1, "label": "moved"}) == [51, 52]
    assert shelved.at(2).images("shelved") == images
    shelved.forget(label="moved")
    with pytest.raises(GalleryError, match=r"shelf: no such column; there are label, camera, source$"):
        numbers_with(shelved, where={"shelf": "A3"})


def test_numbers_compare_as_numbers(gallery: Gallery) -> None:
    rng = np.random.default_rng(0)
    prices = ["1.20", "1.2", 1.2, "2", "007", 7, True, "one"]
    numbers = gallery.add_embeddings(rng.standard_normal((8, 16)), "priced", columns={"price": prices})
    query = gallery.references.embeddings[:1]

    def found_by(value: object) -> list[int]:
        return sorted(gallery.search(query, 100, where={"price": value})[0][0].tolist())

    assert found_by(1.2) == found_by("1.2") == found_by("1.200") == numbers[:3]
    assert found_by("2.0") == found_by(2) == numbers[3:4]
    assert found_by("007") == numbers[4:5], "a code with zeros before it is no number"
    assert found_by(7) == found_by("7.0") == numbers[5:6]
    assert found_by("one") == numbers[7:]


def test_a_source_is_named_as_when_it_is_removed(
    gallery: Gallery, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits)
    query = gallery.references.embeddings[:1]
    file = next((digits / "train" / "digit 0").iterdir()).relative_to(digits)
    numbers, _ = gallery.search(query, 100, where={"source": str(file)})
    assert numbers.shape == (1, 1)
    assert gallery.remove(source=file) == 1


def test_where_nothing_is_left_the_values_that_are_there_are_told(gallery: Gallery) -> None:
    gallery.add_embeddings(np.eye(16)[:7], "new", columns={"shelf": [f"B{row}" for row in range(7)]})
    query = gallery.references.embeddings[:1]
    with pytest.raises(
        GalleryError, match=r"no image is left by shelf='C1': ask for more: shelf is B0, B1, B2, B3, B4, \.\.\.$"
    ):
        gallery.search(query, where={"shelf": "C1"})
    with pytest.raises(
        GalleryError, match=r"no image is left by camera=3: ask for more: camera is not known of any image$"
    ):
        gallery.search(query, where={"camera": 3})


@pytest.mark.parametrize("columns", [[{"shelf": "A"}], "shelf", 3])
def test_columns_have_names(gallery: Gallery, columns: object) -> None:
    with pytest.raises(
        GalleryError, match=r"^columns: expected names with their values, such as \{'shelf': 'B3'\} or .* got"
    ):
        gallery.add_embeddings(np.eye(16)[:1], "new", columns=columns)  # type: ignore[arg-type]
